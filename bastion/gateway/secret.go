package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"entry/configs"
)

// Secret is what a user needs for the first login, or a half of it. Unlike a Notice
// it goes out only where an operator asks for that, once, to the command that Notices
// go to; a webhook, which others run, isn't given any.
type Secret struct {
	User   string    `json:"user"`
	Kind   string    `json:"kind"` // "temporary-passphrase", "first-half" or "second-half"
	At     time.Time `json:"at"`
	Secret string    `json:"secret"`
	Phone  string    `json:"phone,omitempty"` // as the operator gave it
	Until  time.Time `json:"until"`           // when it is no longer good
}

// HandOut gives s to the command of o and waits for it.
func HandOut(ctx context.Context, o configs.Notices, s Secret) error {
	if o.Webhook != nil {
		return fmt.Errorf("hand out: secrets go to notices.command alone, not to a webhook")
	}
	deliver, err := deliverer(o)
	if err != nil {
		return fmt.Errorf("hand out: %w", err)
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("hand out: %w", err)
	}
	return deliver(ctx, append(line, '\n'))
}
