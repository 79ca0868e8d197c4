//go:build linux

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"entry/audit/plain"
	"entry/policy"
)

// Bounds of a file of people.
const (
	maxPeopleFile = 2 << 20 // bytes
	maxPeople     = 10_000
	mostWrong     = 50 // problems that are shown
)

// person is one line of a file of people.
type person struct {
	name, lab, phone, realm string
	ends                    time.Time
}

// peopleColumns are what the first line may name.
var peopleColumns = []string{"name", "lab", "phone", "realm", "end"}

// readPeople reads a CSV file of people, as spreadsheets write it: with a comma, a
// semicolon or a tab between columns. All that is wrong with it comes in one error,
// a line each.
func readPeople(path string, now time.Time) ([]person, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPeopleFile+1))
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	all, wrong := parsePeople(string(b), now)
	if len(wrong) == 0 {
		return all, nil
	}
	for i := range wrong {
		wrong[i] = path + wrong[i]
	}
	if more := len(wrong) - mostWrong; more > 0 {
		wrong = append(wrong[:mostWrong], fmt.Sprintf("and %d more", more))
	}
	return nil, failf(exitUsage, "nobody was added:\n%s", strings.Join(wrong, "\n"))
}

// parsePeople is readPeople for the text; each problem begins with ":LINE: ".
func parsePeople(text string, now time.Time) (all []person, wrong []string) {
	say := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf(":%d: ", line)+fmt.Sprintf(format, args...))
	}
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case len(text) > maxPeopleFile:
		say(1, "the file is larger than %d MiB", maxPeopleFile>>20)
	case !utf8.ValidString(text):
		say(1, "the file is not UTF-8; save it as \"CSV UTF-8\"")
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	r := csv.NewReader(strings.NewReader(text))
	first, _, _ := strings.Cut(text, "\n")
	for _, comma := range []rune{';', '\t'} {
		if strings.ContainsRune(first, comma) && !strings.ContainsRune(first, ',') {
			r.Comma = comma
		}
	}
	r.FieldsPerRecord = -1
	columns := []string(nil)
	lines := map[string]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			say(bad.Line, "%v", bad.Err)
			return nil, wrong // the rest may be read wrongly
		}
		if err != nil {
			say(1, "%v", err)
			return nil, wrong
		}
		line, _ := r.FieldPos(0)
		for i := range record {
			record[i] = strings.TrimSpace(record[i])
		}
		if columns == nil {
			if columns = header(record, func(format string, args ...any) { say(line, format, args...) }); columns == nil {
				return nil, wrong
			}
			continue
		}
		if strings.Join(record, "") == "" {
			continue
		}
		if len(record) != len(columns) {
			say(line, "%s, but %s", plain.Count(len(record), "field"), plain.Count(len(columns), "column"))
			continue
		}
		p, why := onePerson(columns, record, now)
		if why == "" {
			if at, twice := lines[p.name]; twice {
				why = fmt.Sprintf("%s is on line %d already", p.name, at)
			}
			lines[p.name] = line
		}
		if why != "" {
			say(line, "%s", why)
			continue
		}
		if all = append(all, p); len(all) > maxPeople {
			say(line, "there are more than %d people", maxPeople)
			return nil, wrong
		}
	}
	if len(all) == 0 && len(wrong) == 0 {
		say(1, "there is nobody in it; the first line names the columns: %s", strings.Join(peopleColumns, ","))
	}
	return all, wrong
}

// header reads the names of the columns; nil if they can't be used.
func header(record []string, say func(string, ...any)) []string {
	var columns []string
	ok := true
	for _, c := range record {
		c = strings.ToLower(c)
		switch {
		case !slices.Contains(peopleColumns, c):
			say("there is no column %s; the first line names them: %s", plain.Quote(c), strings.Join(peopleColumns, ","))
			ok = false
		case slices.Contains(columns, c):
			say("the column %s is there twice", c)
			ok = false
		}
		columns = append(columns, c)
	}
	if ok && !slices.Contains(columns, "name") {
		say("there is no column name")
		ok = false
	}
	if !ok {
		return nil
	}
	return columns
}

func onePerson(columns, record []string, now time.Time) (p person, wrong string) {
	for i, c := range columns {
		v := record[i]
		switch c {
		case "name":
			p.name = v
			if err := policy.ValidUser(v); err != nil {
				return p, fmt.Sprintf("%s: %v", plain.Quote(v), err)
			}
		case "lab":
			p.lab = v
		case "phone":
			p.phone = strings.NewReplacer(" ", "", "-", "").Replace(v)
		case "realm":
			p.realm = v
		case "end":
			if v == "" {
				continue
			}
			var err error
			if p.ends, err = readEnd(v, now); err != nil {
				return p, err.Error()
			}
		}
	}
	return p, ""
}
