package secret

import (
	"crypto/sha256"
	"strings"
)

const (
	// A temporary passphrase is two halves, which may go two ways. Each has 8 random
	// symbols, 40 bits, and 2 that are computed of them: 80 bits in four groups of
	// five, xxxxx-xxxxx-xxxxx-xxxxx.
	halfRandom       = 8
	halfSymbols      = halfRandom + 2
	temporarySymbols = 2 * halfSymbols
	temporaryGroup   = 5
	// olderSymbols is the length of those that were handed out before there were
	// check characters: 16 random symbols. They are good as long as they were to be.
	olderSymbols = 16
)

// checkPrime is the largest below 1024, which two symbols hold. A half, read as one
// number in base 32, leaves 1 when divided by it, or 2 if it is the second one. The
// powers of 32 up to the ninth leave ten different remainders, none of them zero, so
// that one wrong symbol never fits, nor do two that changed places; whatever else is
// wrong fits once in 1021 times.
const checkPrime = 1021

// remainder is what symbols, as a number in base 32, leave when divided by checkPrime.
func remainder(symbols []byte) int {
	n := 0
	for _, c := range symbols {
		n = (n*32 + strings.IndexByte(alphabet, c)) % checkPrime
	}
	return n
}

// withCheck appends the check characters of half number n, 1 or 2.
func withCheck(random []byte, n int) []byte {
	c := (checkPrime + n - remainder(append(random, alphabet[0], alphabet[0]))) % checkPrime
	return append(random, alphabet[c/32], alphabet[c%32])
}

func fits(half []byte, n int) bool {
	return len(half) == halfSymbols && !strings.ContainsRune(string(half), unknownSymbol) && remainder(half) == n
}

// NewTemporary makes a temporary passphrase as it is handed out.
func NewTemporary() string {
	return grouped(append(withCheck(randomSymbols(halfRandom), 1), withCheck(randomSymbols(halfRandom), 2)...), temporaryGroup)
}

// HashTemporary is a plain SHA-256: with 80 random bits behind it there is
// nothing that a slow hash would make harder, and a cheap one lets the answer be
// compared before the next prompt without giving strangers work to order.
// What can't be a temporary passphrase hashes to something that none has.
func HashTemporary(typed string) [32]byte {
	s, ok := canonicalSymbols(typed, temporarySymbols)
	if !ok {
		s, ok = canonicalSymbols(typed, olderSymbols)
	}
	if !ok {
		return sha256.Sum256([]byte("not a temporary passphrase"))
	}
	return sha256.Sum256([]byte("entry temporary|" + s))
}

// Form is what a string is, as a temporary passphrase, from the string alone: it
// says nothing about whether anybody was ever given it.
type Form uint8

// The forms.
const (
	NotTemporary Form = iota // of no such form, or of the one without check characters
	Temporary                // the check characters fit
	WrongFirstHalf
	WrongSecondHalf
	WrongHalves   // a typing error, in both halves or across them
	HalvesSwapped // the second one was typed before the first
	OnlyFirstHalf
	OnlySecondHalf
)

// FormOf tells what typed is. A passphrase of somebody's own is hardly ever taken
// for a temporary one with a typing error: for that, one half has to fit, once in 500
// times where the length does, with a group left out or typed twice too; or there are
// four groups of about five, with digits in two of them.
func FormOf(typed string) Form {
	if len(typed) > 4*temporarySymbols {
		return NotTemporary
	}
	var s []byte
	groups, digits := []int{0}, []int{0} // symbols and digits of each group
	for _, r := range typed {
		last := len(groups) - 1
		switch {
		case separates(r) && groups[last] > 0:
			groups, digits = append(groups, 0), append(digits, 0)
		case separates(r):
		default:
			s = append(s, symbol(r))
			groups[last]++
			if r := narrow(r); '0' <= r && r <= '9' {
				digits[last]++
			}
		}
	}
	if last := len(groups) - 1; groups[last] == 0 {
		groups, digits = groups[:last], digits[:last]
	}
	return formOf(s, groups, digits, typed)
}

func formOf(s []byte, groups, digits []int, typed string) Form {
	n := len(s)
	switch {
	case n == 2*temporarySymbols && string(s[:temporarySymbols]) == string(s[temporarySymbols:]) && fits(s[:halfSymbols], 1) && fits(s[n-halfSymbols:], 2):
		return WrongHalves // pasted twice
	case n == halfSymbols && len(groups) == 2 && fits(s, 1):
		return OnlyFirstHalf
	case n == halfSymbols && len(groups) == 2 && fits(s, 2):
		return OnlySecondHalf
	case (n < temporarySymbols-2 || n > temporarySymbols+2) && !groupAmiss(groups):
		return NotTemporary
	case n == temporarySymbols && fits(s[:halfSymbols], 2) && fits(s[halfSymbols:], 1):
		return HalvesSwapped
	}
	first, second := fits(s[:halfSymbols], 1), fits(s[n-halfSymbols:], 2)
	_, _, code := SplitAnswer(typed) // a passphrase and a code in one field
	switch {
	case first && second && n == temporarySymbols:
		return Temporary
	case first && second:
		return WrongHalves
	case first && !code:
		return WrongSecondHalf
	case second && !code:
		return WrongFirstHalf
	}
	withDigits := 0
	for _, d := range digits {
		withDigits += min(d, 1)
	}
	if len(groups) != 4 || !aboutFive(groups) || withDigits < 2 {
		return NotTemporary
	}
	return WrongHalves
}

// groupAmiss tells whether symbols in groups of these lengths may be a temporary
// passphrase of which one group was left out or typed twice.
func groupAmiss(groups []int) bool {
	if len(groups) == 1 {
		return groups[0] == temporarySymbols-temporaryGroup || groups[0] == temporarySymbols+temporaryGroup
	}
	return (len(groups) == 3 || len(groups) == 5) && aboutFive(groups)
}

func aboutFive(groups []int) bool {
	for _, g := range groups {
		if g < temporaryGroup-1 || g > temporaryGroup+1 {
			return false
		}
	}
	return true
}
