package main

import (
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is how wide help texts are: what is wider than a terminal breaks in the
// middle of words.
const helpWidth = 80 // columns

// fitHelp has the help of a command, and of all below it, fit a terminal.
func fitHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("filled", filled)
	root.SetHelpTemplate("{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces | filled}}\n\n{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", "FlagUsagesWrapped 80 "))
}

// filled is a text of which no paragraph is too wide: those that are, are broken anew,
// but for what is indented.
func filled(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, " ") || strings.Contains(p, "\n ") || width(p) <= helpWidth {
			continue
		}
		var b strings.Builder
		column := 0
		for n, word := range strings.Fields(p) {
			switch w := utf8.RuneCountInString(word); {
			case n == 0:
				column = w
			case column+1+w > helpWidth:
				b.WriteByte('\n')
				column = w
			default:
				b.WriteByte(' ')
				column += 1 + w
			}
			b.WriteString(word)
		}
		paragraphs[i] = b.String()
	}
	return strings.Join(paragraphs, "\n\n")
}

// width is that of the widest line of a text.
func width(text string) (most int) {
	for line := range strings.Lines(text) {
		most = max(most, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
	}
	return most
}
