// Package gateway carries words out of entry: one-time codes by SMS, through a
// site's HTTP gateway, and notices to users about their accounts, through a
// command or a webhook of the site.
//
// # What it promises
//
//   - Only https, with verified certificates and TLS 1.2 or newer; http only to
//     loopback addresses, checked again when connecting. No proxy from the
//     environment, and no redirect is followed: what is sent holds codes.
//   - Numbers and texts are escaped into the template's own format, so that
//     neither can add a field.
//   - Numbers are E.164 and nothing else.
//   - Everything has a timeout and answers are read up to a bound.
//   - SMS.Send blocks until the gateway has taken the message or it has failed.
//   - Notices.Send never blocks. Its queue is bounded; when it is full, the notice
//     that has waited longest gives way, and every one that is lost is counted
//     and reported.
//   - Errors name neither number nor text nor URL (which may hold a key): they
//     may be logged.
//
// # When not to use it
//
// Not for anything whose delivery a login may depend on, except the code itself.
// A gateway that has taken an SMS hasn't delivered it.
//
// # Sources
//
// ITU-T E.164 §6.2.1 (numbers), RFC 8259 §7 (JSON strings), WHATWG URL
// (application/x-www-form-urlencoded).
package gateway
