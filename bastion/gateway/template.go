package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	holeNumber = "{number}"
	holeText   = "{text}"
	maxBody    = 16 << 10 // bytes of a template
	maxText    = 1000     // bytes of a text: six SMS, far more than a code takes
)

// e164 is "+", a country code that doesn't begin with 0, and 7 to 15 digits in
// all (E.164 §6.2.1 sets the upper bound; no country has numbers of fewer).
var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// body is a checked template of a POST.
type body struct {
	template string
	json     bool
}

// probe has in it whatever could leave a string or a field.
const probe = "a\"\\\n&b=c+%41{text}\u2028é"

// parseBody takes a template in JSON (an object or an array) or in the form of
// application/x-www-form-urlencoded, with both holes in values.
func parseBody(template string) (body, error) {
	b := body{template: template}
	if len(template) > maxBody {
		return b, errors.New("the body is longer than 16 KiB")
	}
	if !strings.Contains(template, holeNumber) || !strings.Contains(template, holeText) {
		return b, errors.New("the body must have {number} and {text} in it")
	}
	s := strings.TrimSpace(template)
	fits := b.fitsForm
	if b.json = s[0] == '{' || s[0] == '['; b.json {
		fits = b.fitsJSON
	}
	if !fits() {
		return b, errors.New("the body must be JSON, or a form (to={number}&text={text}), with {number} and {text} in values")
	}
	return b, nil
}

func (b body) contentType() string {
	if b.json {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// fill escapes number and text into the template, in one pass.
func (b body) fill(number, text string) []byte {
	escape := url.QueryEscape
	if b.json {
		escape = jsonEscape
	}
	return []byte(strings.NewReplacer(holeNumber, escape(number), holeText, escape(text)).Replace(b.template))
}

// jsonEscape is s as the inside of a JSON string.
func jsonEscape(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		return "" // strings always marshal
	}
	return string(out[1 : len(out)-1])
}

// fitsJSON fills the holes with a probe: outside strings it is no JSON, and as
// a key of an object it is not found among the values.
func (b body) fitsJSON() bool {
	d := json.NewDecoder(bytes.NewReader(b.fill("n"+probe, "t"+probe)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return false
	}
	var number, text, keys int
	count(v, &number, &text, &keys)
	return number == strings.Count(b.template, holeNumber) && text == strings.Count(b.template, holeText) && keys == 0
}

// count counts the probes in the values, and in the keys, of what was decoded.
// encoding/json bounds the nesting; the template is the operator's own.
func count(v any, number, text, keys *int) {
	switch v := v.(type) {
	case string:
		*number += strings.Count(v, "n"+probe)
		*text += strings.Count(v, "t"+probe)
	case []any:
		for _, e := range v {
			count(e, number, text, keys)
		}
	case map[string]any:
		for k, e := range v {
			*keys += strings.Count(k, probe)
			count(e, number, text, keys)
		}
	}
}

func (b body) fitsForm() bool {
	fields, err := url.ParseQuery(string(b.fill("n"+probe, "t"+probe)))
	if err != nil {
		return false
	}
	var number, text, keys int
	for k, values := range fields {
		keys += strings.Count(k, probe)
		for _, v := range values {
			count(v, &number, &text, &keys)
		}
	}
	return number == strings.Count(b.template, holeNumber) && text == strings.Count(b.template, holeText) && keys == 0
}

// sendable keeps out of a text what no SMS should hold.
func sendable(text string) bool {
	return text != "" && len(text) <= maxText && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' })
}
