package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"entry/bastion/gateway"
	"entry/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const number = "+46701234567"

// file writes a private file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sms(t *testing.T, o configs.SMS) *gateway.SMS {
	t.Helper()
	s, err := gateway.NewSMS(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// server answers every request by f. Its hanging handlers end with the test.
func server(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

const text = `Your "entry" code: 123456 & more=less + 100% é` + "\n" + `\u0041 {number}`

func TestSendJSON(t *testing.T) {
	var got struct {
		To      []string
		Message string
		Extra   int
	}
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Api-Key") != "k: 1" || r.URL.RequestURI() != "/send?v=1" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	g := sms(t, configs.SMS{
		Endpoint: *gateway.EndpointWith(s.URL+"/send?v=1", func(e *configs.Endpoint) { e.HeadersFile = file(t, "# a comment\n\nX-Api-Key: k: 1\n") }),
		Body:     ` {"to": ["{number}"], "message": "entry: {text}", "extra": 7}`,
	})
	if err := g.Send(t.Context(), number, text); err != nil {
		t.Fatal(err)
	}
	if len(got.To) != 1 || got.To[0] != number || got.Message != "entry: "+text || got.Extra != 7 {
		t.Errorf("%+v", got)
	}
}

func TestSendForm(t *testing.T) {
	var form url.Values
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.PostForm
	})
	g := sms(t, configs.SMS{Endpoint: configs.NewEndpoint(s.URL), Body: "to={number}&text=entry:+{text}&from=entry"})
	if err := g.Send(t.Context(), number, text); err != nil {
		t.Fatal(err)
	}
	if len(form) != 3 || form.Get("to") != number || form.Get("text") != "entry: "+text || form.Get("from") != "entry" {
		t.Errorf("%v", form)
	}
}

func TestNumbersAndTexts(t *testing.T) {
	var calls atomic.Int64
	s := server(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	g := sms(t, configs.SMS{Endpoint: configs.NewEndpoint(s.URL), Body: "to={number}&text={text}"})
	for _, n := range []string{
		"", "+", "46701234567", "+0701234567", "+123456", "+1234567890123456", "+46 70 123", "+4670123456a", "+46701234567\n",
		"+46701234567,+46709999999", "0046701234567", "+4670123456٧",
	} {
		if err := g.Send(t.Context(), n, "x"); !errors.Is(err, gateway.ErrNumber) {
			t.Errorf("%q: %v", n, err)
		}
	}
	for _, x := range []string{"", "a\x00", "a\x1b[2J", "\xff", strings.Repeat("a", 1001)} {
		if err := g.Send(t.Context(), number, x); !errors.Is(err, gateway.ErrText) {
			t.Errorf("%.10q: %v", x, err)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d requests", calls.Load())
	}
	for _, n := range []string{"+1234567", "+123456789012345"} {
		if err := g.Send(t.Context(), n, "x"); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// What the gateway says decides whether it is asked again.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		calls  int64
		ok     bool
	}{
		"taken":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }, 1, true},
		"refused":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, 1, false},
		"wrong key": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 1, false},
		"too many":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, 1, false},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, 1, false},
		"endless body":   {endless, 1, true},
		"endless header": {manyHeaders, 1, false},
		"no HTTP":        {garbage, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				c.answer(w, r)
			})
			g := sms(t, configs.SMS{Endpoint: configs.NewEndpoint(s.URL + "/key-in-url"), Body: "to={number}&text={text}"})
			err := g.Send(t.Context(), number, "123456")
			if (err == nil) != c.ok || calls.Load() != c.calls {
				t.Errorf("%d requests, %v", calls.Load(), err)
			}
			if err != nil && (strings.Contains(err.Error(), "key-in-url") || strings.Contains(err.Error(), number[1:]) || strings.Contains(err.Error(), "123456")) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // see TestHangingGateway
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

func manyHeaders(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Long", strings.Repeat("a", 1<<20))
}

func garbage(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n") // the test sees what comes of it
}

func TestHangingGateway(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int64
	s := server(t, func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // the server looks for the client's end only then
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	g := sms(t, configs.SMS{Endpoint: *gateway.EndpointWith(s.URL, func(e *configs.Endpoint) { e.Timeout, e.Retries = 30*time.Millisecond, 1 }), Body: "to={number}&text={text}"})
	if err := g.Send(t.Context(), number, "x"); err == nil || calls.Load() != 2 {
		t.Errorf("%d requests, %v", calls.Load(), err)
	}
	// The caller's end is no reason to try again.
	calls.Store(0)
	g = sms(t, configs.SMS{Endpoint: *gateway.EndpointWith(s.URL, func(e *configs.Endpoint) { e.Timeout = time.Hour }), Body: "to={number}&text={text}"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := g.Send(ctx, number, "x"); !errors.Is(err, context.DeadlineExceeded) || calls.Load() > 1 {
		t.Errorf("%d requests, %v", calls.Load(), err)
	}
	// Nor is a gateway that isn't there: it says so at once.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	g = sms(t, configs.SMS{Endpoint: configs.NewEndpoint("http://" + l.Addr().String()), Body: "to={number}&text={text}"})
	if err := g.Send(t.Context(), number, "x"); err == nil {
		t.Error("sent to nobody")
	}
}

func TestTLSIsVerified(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url, ca string
		ok      bool
	}{
		"known CA":      {s.URL, ca, true},
		"system's CAs":  {s.URL, "", false},
		"another name":  {"https://localhost:" + port, ca, false}, // the certificate has example.com and 127.0.0.1
		"not even TLS":  {"http://127.0.0.1:" + port, "", false},
		"loopback IPv6": {"https://[::1]:" + port, ca, false},
	} {
		g := sms(t, configs.SMS{Endpoint: *gateway.EndpointWith(c.url, func(e *configs.Endpoint) { e.CA = c.ca }), Body: "to={number}&text={text}"})
		if err := g.Send(t.Context(), number, "x"); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d requests came through", calls.Load())
	}
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	g := sms(t, configs.SMS{Endpoint: *gateway.EndpointWith(old.URL, func(e *configs.Endpoint) { e.CA = ca }), Body: "to={number}&text={text}"})
	if err := g.Send(t.Context(), number, "x"); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

func TestNewSMSRefuses(t *testing.T) {
	open := file(t, "X: y\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	good := func() configs.SMS {
		return configs.SMS{Endpoint: configs.NewEndpoint("https://sms.example.org/send"), Body: `{"to":"{number}","text":"{text}"}`}
	}
	if _, err := gateway.NewSMS(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*configs.SMS)
		want   string
	}{
		"plain http":            {func(o *configs.SMS) { o.URL = "http://sms.example.org/" }, "in clear"},
		"ftp":                   {func(o *configs.SMS) { o.URL = "ftp://sms.example.org/" }, "https://"},
		"no host":               {func(o *configs.SMS) { o.URL = "https:///x" }, "the URL"},
		"a password in the URL": {func(o *configs.SMS) { o.URL = "https://a:b@sms.example.org/" }, "password"},
		"a CA for http":         {func(o *configs.SMS) { o.URL, o.CA = "http://127.0.0.1/", open }, "without TLS"},
		"a CA that is none":     {func(o *configs.SMS) { o.CA = open }, "no certificate"},
		"negative timeout":      {func(o *configs.SMS) { o.Timeout = -1 }, "timeout"},
		"no timeout":            {func(o *configs.SMS) { o.Timeout = 0 }, "timeout"},
		"negative retries":      {func(o *configs.SMS) { o.Retries = -1 }, "retries"},
		"many retries":          {func(o *configs.SMS) { o.Retries = 11 }, "retries"},
		"open headers":          {func(o *configs.SMS) { o.HeadersFile = open }, "chmod 600"},
		"no headers file":       {func(o *configs.SMS) { o.HeadersFile = open + "x" }, "headers file"},
		"a header without name": {func(o *configs.SMS) { o.HeadersFile = file(t, "A: b\nsecret token\n") }, "line 2"},
		"a header with control": {func(o *configs.SMS) { o.HeadersFile = file(t, "A: b\x01c\n") }, "line 1"},
		"endless headers":       {func(o *configs.SMS) { o.HeadersFile = file(t, strings.Repeat("A: b\n", 4000)) }, "larger"},
		"no body":               {func(o *configs.SMS) { o.Body = "" }, "{number}"},
		"no text":               {func(o *configs.SMS) { o.Body = "to={number}" }, "{text}"},
		"long body":             {func(o *configs.SMS) { o.Body += strings.Repeat(" ", 17<<10) }, "longer"},
		"unquoted":              {func(o *configs.SMS) { o.Body = `{"to":{number},"text":"{text}"}` }, "in values"},
		"a key":                 {func(o *configs.SMS) { o.Body = `{"{number}":"x","text":"{text}"}` }, "in values"},
		"broken JSON":           {func(o *configs.SMS) { o.Body = `{"to":"{number}","text":"{text}"` }, "in values"},
		"two values":            {func(o *configs.SMS) { o.Body = `["{number}"]["{text}"]` }, "in values"},
		"text that is no form":  {func(o *configs.SMS) { o.Body = "{text};to={number}" }, "in values"},
		"a form's key":          {func(o *configs.SMS) { o.Body = "to={number}&x{text}=y" }, "in values"},
		"XML":                   {func(o *configs.SMS) { o.Body = "<to>{number}</to><text>{text}</text>" }, "in values"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			c.change(&o)
			if _, err := gateway.NewSMS(o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, not one with %q", err, c.want)
			}
		})
	}
}
