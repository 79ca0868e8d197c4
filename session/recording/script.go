package recording

import (
	"path"
	"regexp"
	"strings"
)

// ReadsScript reports whether a command without a terminal, or "" for the account's
// shell, reads what it is to do from its input, for all that its command line tells: a
// shell, or an interpreter that is given no script and no text to run. It errs towards
// yes: what it takes for a script has its beginning recorded.
func ReadsScript(command string) bool {
	if command == "" {
		return true // the account's shell
	}
	for _, part := range strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(";|&()`\n", r) }) {
		if interprets(strings.Fields(part)) {
			return true
		}
	}
	return false
}

// How programs are told what to run. Words after a program may say so.
var (
	shells       = regexp.MustCompile(`^(r?bash|da?sh|[akz]sh|m?ksh|sh|fish|t?csh)$`)
	interpreters = regexp.MustCompile(`^(python|pypy|perl|ruby|node|nodejs|deno|php|lua|luajit|tclsh|expect|julia|guile|R|Rscript|octave|matlab|ghci|gdb)[0-9.]*$`)
	queries      = regexp.MustCompile(`^(psql|mysql|mariadb|sqlite3?|duckdb|mongo|mongosh|redis-cli|sqlplus|bc|dc|ed|ex)$`)
	queues       = regexp.MustCompile(`^(at|batch|crontab|parallel|xargs)$`)
)

// interprets looks for the first program of words that takes what it does from its
// input. What stands before it runs it (sudo, env, nice, exec).
func interprets(words []string) bool {
	for i, word := range words {
		name := path.Base(strings.Trim(word, `'"\`))
		rest := words[i+1:]
		switch {
		case queues.MatchString(name):
			return true
		case shells.MatchString(name):
			return !given(rest, "c")
		case interpreters.MatchString(name):
			return !given(rest, "cem")
		case queries.MatchString(name):
			return !strings.Contains(" "+strings.Join(rest, " "), " -c") && !strings.Contains(" "+strings.Join(rest, " "), " -e")
		}
	}
	return false
}

// given reports whether the words after an interpreter name a script, or have an
// option, one of letters, that holds one.
func given(words []string, letters string) bool {
	redirected := false
	for _, word := range words {
		word = strings.Trim(word, `'"`)
		switch {
		case redirected:
			redirected = false
		case word == "-", word == "-s", word == "--":
			return false
		case strings.ContainsAny(word, "<>"):
			redirected = strings.HasSuffix(word, "<") || strings.HasSuffix(word, ">") // the file is the next word
		case strings.HasPrefix(word, "$"), strings.HasPrefix(word, "--"):
		case strings.HasPrefix(word, "-"):
			if strings.ContainsAny(word, letters) && !strings.Contains(word, "s") {
				return true
			}
		default:
			return true
		}
	}
	return false
}
