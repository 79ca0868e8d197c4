package transfer

import (
	"strings"
)

// gitCommand reads git-upload-pack (fetch, clone), git-receive-pack (push) and
// git-upload-archive (archive --remote) with the path of one repository, as one
// word or as git's verb. They take no options: those of git's own begin what HTTP
// servers run. A push runs the hooks that the repository has.
func gitCommand(name word, args []word) (*Program, string) {
	words := []string{name.text}
	verb := name.text[strings.LastIndexByte(name.text, '/')+1:]
	if verb == "git" {
		if len(args) == 0 {
			return nil, ""
		}
		verb = "git-" + args[0].text
		if _, ok := folders[verb]; !ok {
			return nil, ""
		}
		words, args = append(words, args[0].text), args[1:]
	}
	for _, w := range args {
		if strings.HasPrefix(w.text, "-") {
			return nil, "options aren't let through: name the repository only, with ./ in front if it begins with -"
		}
	}
	if len(args) != 1 || args[0].text == "" {
		return nil, "one repository is to be named: put a path with blanks into quotes"
	}
	repository := args[0]
	if repository.globs() || strings.Contains(repository.text, `\`) {
		return nil, "the repository's path is a pattern or has a backslash: write its name"
	}
	p := &Program{
		Name: verb, Needs: []Direction{Download}, paths: []string{repository.text},
		line: strings.Join(words, " ") + " " + gitQuote(repository.text),
	}
	if verb == "git-receive-pack" {
		p.Needs = []Direction{Upload}
	}
	p.decoder = func(may May) Decoder { return newGit(verb, repository.text, may) }
	return p, ""
}

// gitQuote quotes as git's clients do: git-shell and what is like it take nothing
// else.
func gitQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}
