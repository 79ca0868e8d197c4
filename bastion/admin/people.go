package admin

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"entry/audit/plain"
	"entry/policy"
)

// Bounds of a file of people.
const (
	maxPeopleFile = 2 << 20 // bytes
	maxPeople     = 10_000
)

// peopleColumns are what the first line may name.
var peopleColumns = []string{"name", "lab", "phone", "realm", "end"}

// ReadPeople reads a CSV file of people, as spreadsheets write it: with a comma, a
// semicolon or a tab between columns. wrong is all that is wrong with it, a line each;
// all are those whose names are right, even then, so that the rest of what is known of
// them can be judged at once (ManyRequest.Check). err says that it can't be read.
func ReadPeople(path string, now time.Time) (all []NewPerson, wrong []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPeopleFile+1))
	if err != nil {
		return nil, nil, err
	}
	all, wrong = parsePeople(string(b), now)
	for i := range wrong {
		wrong[i] = path + wrong[i]
	}
	return all, wrong, nil
}

// parsePeople is ReadPeople for the text; each problem begins with ":LINE: ".
func parsePeople(text string, now time.Time) (all []NewPerson, wrong []string) {
	say := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf(":%d: ", line)+fmt.Sprintf(format, args...))
	}
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case len(text) > maxPeopleFile:
		say(1, "the file is larger than %d MiB", maxPeopleFile>>20)
	case !utf8.ValidString(text):
		valid := strings.ToValidUTF8(text, "\ufffd")
		same := 0 // bytes up to the first that is none of UTF-8's
		for same < len(text) && same < len(valid) && text[same] == valid[same] {
			same++
		}
		say(1+strings.Count(text[:same], "\n"), "this is not UTF-8; save the file as \"CSV UTF-8\"")
		text = valid // what else is wrong with it
	}
	if len(text) > maxPeopleFile {
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
		named := policy.ValidUser(p.Name) == nil
		if at, twice := lines[p.Name]; twice && named {
			why, named = append(why, fmt.Sprintf("%s is on line %d already", p.Name, at)), false
		} else {
			lines[p.Name] = line
		}
		for _, w := range why {
			say(line, "%s", w)
		}
		if !named {
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
			say("there is no column %s; the first line names them: %s", plain.Said(c), strings.Join(peopleColumns, ","))
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

// onePerson reads one line, and says all that is wrong with it.
func onePerson(columns, record []string, now time.Time) (p NewPerson, wrong []string) {
	for i, c := range columns {
		v := record[i]
		switch c {
		case "name":
			p.Name = v
			err := policy.ValidUser(v)
			switch {
			case v == "":
				wrong = append(wrong, "there is no name")
			case strings.ContainsFunc(v, func(r rune) bool { return r != ' ' && unicode.IsSpace(r) }):
				wrong = append(wrong, plain.Said(v)+": there is a no-break or other strange space in the name; type it anew")
			case err != nil:
				wrong = append(wrong, fmt.Sprintf("%s: %v", plain.Said(v), err))
			}
		case "lab":
			p.Lab = v
		case "phone":
			p.Phone = strings.NewReplacer(" ", "", "-", "").Replace(v)
		case "realm":
			p.Realm = v
		case "end":
			if v == "" {
				continue
			}
			var err error
			if p.Ends, err = ParseEnd(v, now); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	return p, wrong
}

// ErrPast is what ParseEnd returns for a moment that is over.
var ErrPast = errors.New("is in the past")

// ParseEnd reads an account's last moment: a day, which counts whole, a moment, or
// never, the zero time.
func ParseEnd(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	ends, err := time.Parse(time.DateOnly, text)
	if err == nil {
		ends = ends.AddDate(0, 0, 1).Add(-time.Second)
	} else if ends, err = time.Parse(time.RFC3339, text); err != nil {
		return time.Time{}, fmt.Errorf("%s is no date: write it as 2027-06-30, as 2027-06-30T12:00:00Z, or never", plain.Said(text))
	}
	if !ends.After(now) {
		return time.Time{}, fmt.Errorf("%s %w", text, ErrPast)
	}
	return ends, nil
}
