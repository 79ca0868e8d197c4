package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"entry/configs"
)

// transport answers with the statuses in turn, and 0 with a hang.
type transport struct {
	statuses []int
	at       []time.Time
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := t.statuses[min(len(t.at), len(t.statuses)-1)]
	t.at = append(t.at, time.Now())
	if s == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: s, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func TestRetriesBackOff(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		statuses []int
		retries  int
		at       []time.Duration
		ok       bool
	}{
		"once":             {[]int{200}, 0, []time.Duration{0}, true},
		"the default":      {[]int{500}, configs.NewEndpoint("").Retries, []time.Duration{0, s / 2, 3 * s / 2}, false},
		"none":             {[]int{500}, 0, []time.Duration{0}, false},
		"better then":      {[]int{503, 502, 204}, 5, []time.Duration{0, s / 2, 3 * s / 2}, true},
		"hangs":            {[]int{0, 200}, 1, []time.Duration{0, 10*s + s/2}, true},
		"refused then":     {[]int{500, 403, 200}, 5, []time.Duration{0, s / 2}, false},
		"pauses are bound": {[]int{500}, 7, []time.Duration{0, s / 2, 3 * s / 2, 7 * s / 2, 15 * s / 2, 31 * s / 2, 47 * s / 2, 63 * s / 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := newPoster(*EndpointWith("https://sms.example.org/", func(e *configs.Endpoint) { e.Retries = c.retries }))
				if err != nil {
					t.Fatal(err)
				}
				fake := &transport{statuses: c.statuses}
				p.transport = fake
				start := time.Now()
				if err := p.post(t.Context(), "text/plain", nil); (err == nil) != c.ok {
					t.Errorf("error %v", err)
				}
				var at []time.Duration
				for _, x := range fake.at {
					at = append(at, x.Sub(start))
				}
				if fmt.Sprint(at) != fmt.Sprint(c.at) {
					t.Errorf("tries at %v, not %v", at, c.at)
				}
			})
		})
	}
}

func TestCallerEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := newPoster(*EndpointWith("https://sms.example.org/", func(e *configs.Endpoint) { e.Retries = 10 }))
		if err != nil {
			t.Fatal(err)
		}
		p.transport = &transport{statuses: []int{500}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := p.post(ctx, "text/plain", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// queue is a Notices whose deliveries a test holds in its hands.
func queue(limit int, deliver func(context.Context, []byte) error) (*Notices, *[]Loss) {
	var lost []Loss // written by one goroutine at a time; read when it rests
	n := &Notices{deliver: deliver, limit: limit, wake: make(chan struct{}, 1),
		lost: func(l Loss) { lost = append(lost, l) }}
	n.start()
	return n, &lost
}

func notice(i int) Notice { return Notice{User: "alice", Kind: fmt.Sprint(i)} }

func kind(t *testing.T, line []byte) string {
	var n Notice
	if err := json.Unmarshal(line, &n); err != nil || !bytes.HasSuffix(line, []byte("}\n")) {
		t.Errorf("%q: %v", line, err)
	}
	return n.Kind
}

func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var got []string
		n, lost := queue(3, func(ctx context.Context, line []byte) error {
			got = append(got, kind(t, line))
			<-release
			return nil
		})
		n.Send(notice(0))
		synctest.Wait()
		start := time.Now()
		for i := 1; i <= 6; i++ { // 0 is being delivered: 3 fit, 3 give way
			n.Send(notice(i))
		}
		if time.Since(start) != 0 {
			t.Error("Send has waited")
		}
		synctest.Wait()
		if len(*lost) != 0 {
			t.Error("Send has called Lost itself")
		}
		close(release)
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(got) != "[0 4 5 6]" {
			t.Errorf("delivered %v", got)
		}
		if len(*lost) != 1 || (*lost)[0].Count != 3 || (*lost)[0].Last.Kind != "3" || (*lost)[0].Reason != "queue-full" {
			t.Errorf("lost %+v", *lost)
		}
	})
}

func TestFailedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		n, lost := queue(3, func(_ context.Context, line []byte) error {
			if kind(t, line) == "1" {
				return broken
			}
			return nil
		})
		for i := range 3 {
			n.Send(notice(i))
		}
		synctest.Wait()
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if len(*lost) != 1 || (*lost)[0].Last.Kind != "1" || (*lost)[0].Reason != "not-taken" || !errors.Is((*lost)[0].Err, broken) {
			t.Errorf("lost %+v", *lost)
		}
	})
}

func TestCloseHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lost := queue(8, func(ctx context.Context, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for i := range 4 {
			n.Send(notice(i))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		late := make(chan struct{})
		go func() {
			defer close(late)
			time.Sleep(time.Second)
			n.Send(notice(9))
		}()
		if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-late
		var all []string
		for _, l := range *lost {
			all = append(all, fmt.Sprintf("%d %s %s", l.Count, l.Last.Kind, l.Reason))
		}
		if strings.Join(all, ", ") != "1 0 closed, 3 3 closed, 1 9 closed" {
			t.Errorf("lost %q", all)
		}
	})
}

// Whatever number and text are, the filled template has the fields of the
// template, with them as values.
func FuzzFill(f *testing.F) {
	for _, s := range []string{"123456", probe, `"}`, "&to=x", "%", "{number}", "\xff", "é\u2028"} {
		f.Add(s, s)
	}
	asJSON, err := parseBody(`{"to":"{number}","list":[1,{"text":"<{text}>"}]}`)
	if err != nil {
		f.Fatal(err)
	}
	asForm, err := parseBody("to={number}&text=%3C{text}%3E&a=b")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, number, text string) {
		form, err := url.ParseQuery(string(asForm.fill(number, text)))
		if err != nil || len(form) != 3 || form.Get("to") != number || form.Get("text") != "<"+text+">" || form.Get("a") != "b" {
			t.Fatalf("%v %v", form, err)
		}
		if !sendable(text) || !sendable(number) {
			return // JSON has no bytes that are no UTF-8
		}
		var v struct {
			To   string
			List []any
		}
		d := json.NewDecoder(bytes.NewReader(asJSON.fill(number, text)))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil || d.More() {
			t.Fatal(err)
		}
		inner, ok := v.List[1].(map[string]any)
		if v.To != number || len(v.List) != 2 || !ok || len(inner) != 1 || inner["text"] != "<"+text+">" {
			t.Fatalf("%+v", v)
		}
	})
}
