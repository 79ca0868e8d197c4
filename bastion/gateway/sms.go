package gateway

import (
	"context"
	"errors"
	"fmt"
)

// What Send refuses by itself.
var (
	errNumber = errors.New("gateway: not a number in E.164 form (+ and 7 to 15 digits)")
	errText   = errors.New("gateway: not a text for an SMS")
)

// SMSOptions are what an SMS is made of.
type SMSOptions struct {
	Endpoint
	// Body is the template of the POST's body, JSON or a form, told apart by its
	// first character: {"to":"{number}","message":"{text}"} or
	// to={number}&message={text}. What stands in the holes is escaped.
	Body string
}

// SMS sends texts through a site's HTTP gateway. It is safe for concurrent use.
type SMS struct {
	post *poster
	body body
}

// NewSMS checks o and its files. It opens no connection.
func NewSMS(o SMSOptions) (*SMS, error) {
	b, err := parseBody(o.Body)
	if err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	p, err := newPoster(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	return &SMS{post: p, body: b}, nil
}

// Send hands text for number to the gateway and returns nil once it has taken
// it. It blocks for all tries; ctx ends them. Any error means that the text may
// not arrive (after a timeout it may nevertheless).
func (s *SMS) Send(ctx context.Context, number, text string) error {
	if !e164.MatchString(number) {
		return errNumber
	}
	if !sendable(text) {
		return errText
	}
	if err := s.post.post(ctx, s.body.contentType(), s.body.fill(number, text)); err != nil {
		return fmt.Errorf("sms: %w", err)
	}
	return nil
}
