package gateway

import (
	"context"
	"errors"
	"fmt"

	"entry/configs"
)

// What Send refuses by itself.
var (
	errNumber = errors.New("gateway: not a number in E.164 form (+ and 7 to 15 digits)")
	errText   = errors.New("gateway: not a text for an SMS")
)

// SMS sends texts through a site's HTTP gateway. It is safe for concurrent use.
type SMS struct {
	post *poster
	body body
}

// NewSMS checks c and its files. It opens no connection.
func NewSMS(c configs.SMS) (*SMS, error) {
	b, err := parseBody(c.Body)
	if err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	p, err := newPoster(c.Endpoint)
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
