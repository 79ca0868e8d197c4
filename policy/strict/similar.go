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
// near: two slips in it at most, and one in a word of four letters or fewer, half of
// which would be another word.
func Nearest(word string, known []string) string {
	best, at := "", 3
	for _, k := range known {
		most := 2
		if len(k) < 5 {
			most = 1
		}
		if d := distance(word, k); d < at && d <= most && d < len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance is how many slips lie between two words: a letter too many, too few or
// wrong, or two neighbours swapped (optimal string alignment). Words of 64 bytes and
// more are far from everything.
func distance(a, b string) int {
	if len(a) >= 64 || len(b) >= 64 {
		return 64
	}
	var d [65][65]int
	for i := range len(a) + 1 {
		d[i][0] = i
	}
	for j := range len(b) + 1 {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j-1]+cost, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
