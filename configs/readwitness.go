package configs

import (
	"fmt"
	"net/url"
	"regexp"
	"time"

	"entry/policy/strict"
)

// witnessKey is the form of a verifier key: name, hash, base64.
var witnessKey = regexp.MustCompile(`^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$`)

// mostWitnesses bounds how many are asked at once.
const mostWitnesses = 32

func (r reader) witnesses(a *Audit, f strict.Fields) {
	first := map[string]int{}
	items := f.Get("witnesses").Items()
	for i, item := range items {
		wf := item.Fields("url", "key", "ca")
		w := Witness{URL: wf.Need("url").Text(), Key: wf.Need("key").Text()}
		r.optional(wf, item, "ca", fmt.Sprintf("audit.witnesses.%d.", i), &w.CA)
		checkWitnessURL(wf.Get("url"), w)
		if key := wf.Get("key"); key.Present() && !witnessKey.MatchString(w.Key) {
			key.Errorf(codeKey, "want the witness's public key, NAME+HASH+BASE64, as entry audit witness init printed it")
		} else if line, dup := first[w.Name()]; dup {
			key.Errorf(codeName, "the witness %s stands here twice; the first is on line %d", w.Name(), line)
		} else {
			first[w.Name()] = key.Line()
		}
		a.Witnesses = append(a.Witnesses, w)
	}
	if len(items) > mostWitnesses {
		f.Get("witnesses").Errorf(codeOneOf, "%d witnesses are more than the %d that can be asked", len(items), mostWitnesses)
	}
	a.Need = len(items)
	if need := f.Get("need"); need.Present() && len(items) == 0 {
		need.Errorf(codeOneOf, "need says how many of the witnesses have to cosign; give witnesses, or leave it out")
	} else {
		number(f, "need", &a.Need, 1, int64(len(items)))
	}
	duration(f, "within", &a.Within, 100*time.Millisecond, time.Minute)
	boolean(f, "required", &a.Required)
	if required := f.Get("required"); a.Required && len(items) == 0 {
		required.Errorf(codeOneOf, "without witnesses nobody could ever start a session; give witnesses, or leave it out")
	}
}

func checkWitnessURL(v strict.Value, w Witness) {
	if !v.Present() {
		return
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		v.Errorf(codeURL, "want https://HOST, with a port and a path at most")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		v.Errorf(codeURL, "over plain http:// anybody could answer that the log is another one: use https://")
	case u.Scheme == "http" && w.CA != "":
		v.Errorf(codeURL, "a CA file without TLS has no meaning: use https://")
	}
}
