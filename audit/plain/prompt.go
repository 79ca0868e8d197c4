package plain

import (
	"strings"
	"unicode/utf8"
)

// Prompt breaks what stands before a question, on the same line, at words, where both
// are longer than width characters; the question, behind the last sentence, has a line
// of its own then. Lines above it, which may be a picture or a key, stay as they are.
func Prompt(text string, width int) string {
	begin := strings.LastIndexByte(text, '\n') + 1
	line := text[begin:]
	at := strings.LastIndex(line, ". ")
	if at < 0 || utf8.RuneCountInString(line) <= width {
		return text
	}
	out, column := text[:begin], 0
	for i, word := range strings.Fields(line[:at+1]) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			out, column = out+"\n", 0
		default:
			out, column = out+" ", column+1
		}
		out, column = out+word, column+n
	}
	return out + "\n" + line[at+2:]
}
