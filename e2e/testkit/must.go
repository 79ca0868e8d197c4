package testkit

import (
	"os"
	"testing"
)

// Must gives what a call returned, and ends the test if it failed:
//
//	s := testkit.Must(store.Open(path))(t)
func Must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		Check(t, err)
		return v
	}
}

// Check ends the test if err isn't nil.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ReadFile is os.ReadFile as text.
func ReadFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	Check(t, err)
	return string(b)
}

// WriteFile is os.WriteFile of text that only its owner may read.
func WriteFile(t testing.TB, path, text string) {
	t.Helper()
	Check(t, os.WriteFile(path, []byte(text), 0o600))
}
