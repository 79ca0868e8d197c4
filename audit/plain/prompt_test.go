package plain_test

import (
	"testing"

	"entry/audit/plain"
)

func TestPrompt(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"Not accepted. entry passphrase: ": "Not accepted. entry passphrase: ",
		"Refused: it is too easy to guess; use several unrelated words. New entry passphrase: ": "Refused: it is too easy to guess; use several\nunrelated words.\nNew entry passphrase: ",
		"\nA picture whose lines are as wide as they are. entry one-time code: ":                "\nA picture whose lines are as wide as they are.\nentry one-time code: ",
		"one line that has no end to its sentence and still isn't narrow: ":                     "one line that has no end to its sentence and still isn't narrow: ",
		"\n## ##  ## ## ## ##   # # # ## #  ## ## # ## ## #  ##. \nentry one-time code: ":       "\n## ##  ## ## ## ##   # # # ## #  ## ## # ## ## #  ##. \nentry one-time code: ",
	} {
		if got := plain.Prompt(text, 48); got != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}
