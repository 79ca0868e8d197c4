package strict

import "fmt"

// DidYouMean is "; did you mean "word"?" with the known word that a typing error
// may have meant, "" where none is near.
func DidYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Nearest finds the known word that a typing error may have meant, "" where none is
// near.
func Nearest(word string, known []string) string {
	best, at := "", 3 // at most two slips
	for _, k := range known {
		if d := distance(word, k); d < at && d < len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance; words of 64 bytes and more are far
// from everything.
func distance(a, b string) int {
	if len(a) >= 64 || len(b) >= 64 {
		return 64
	}
	var row [65]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
