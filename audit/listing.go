package audit

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"entry/audit/plain"
)

// AppendText appends an event as one line for a person, without its end: time, sequence
// number, type, which log where that isn't "", then every field that is set, in the log's
// order. What came from outside is quoted.
func AppendText(b []byte, log string, e Event) []byte {
	b = append(b, plain.Time(e.Time)...)
	b = fmt.Appendf(b, " %7d %-22s", e.Seq, e.Type)
	if log != "" {
		b = fmt.Appendf(b, " log=%s", plain.Word(log))
	}
	return appendFields(b, "", reflect.ValueOf(e))
}

// unsetLogin is the kernel's login account of a process that no login started.
const unsetLogin = 1<<32 - 1

// appendFields walks the struct so that a new field of Event is never left out
// of the listing. It shows what the log does: a zero only where the log writes
// zeros, such as root's uid.
func appendFields(b []byte, prefix string, v reflect.Value) []byte {
	for i := range v.NumField() {
		f := v.Field(i)
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f.IsZero() && option == "omitempty" {
			continue
		}
		switch prefix + name {
		case "schema", "seq", "time", "type":
			continue
		}
		for f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if t, ok := f.Interface().(time.Time); ok {
			b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Time(t))
			continue
		}
		if f.Kind() == reflect.Struct {
			b = appendFields(b, prefix+name+".", f)
			continue
		}
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String {
			b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Word(someOf(f)))
			continue
		}
		if f.Kind() == reflect.Slice {
			for i := range f.Len() {
				b = appendFields(b, prefix+name+".", f.Index(i))
			}
			continue
		}
		text := fmt.Sprint(f.Interface())
		if name == "login_uid" && f.Uint() == unsetLogin {
			text = "none"
		}
		b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Word(text))
	}
	return b
}

// maxListed is how many texts of a field a listing shows; --json has them all.
const maxListed = 2

// someOf is the first of several texts.
func someOf(list reflect.Value) string {
	var all []string
	for i := range list.Len() {
		all = append(all, plain.Clip(list.Index(i).String(), maxFieldText))
	}
	return plain.List(all, maxListed)
}

// maxFieldText is how much is shown of each: bytes.
const maxFieldText = 64
