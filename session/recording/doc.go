// Package recording writes and reads recordings of sessions.
package recording
