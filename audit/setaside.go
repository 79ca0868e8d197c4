//go:build linux

package audit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// setAside moves the bytes of the log from end on to a file of their own, durably, and
// then takes them off the log.
func (l *Log) setAside(end, size int64) error {
	tail := func() io.Reader { return io.NewSectionReader(l.events, end, size-end) }
	u, err := uncovered(tail())
	if err != nil {
		return err
	}
	f, err := l.replace(asideTemp, asideName(u.SHA256)+asideUnreported, func(f *os.File) error {
		_, err := io.Copy(f, tail())
		return err
	})
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := l.disk.sync(l.parent, false); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return l.events.Truncate(end)
}

// unreported returns the names of the files of what was set aside that no event tells
// of yet, and an event for each: of this start, or of one that was cut off.
func (l *Log) unreported() (names []string, told []Event, err error) {
	names, err = filepath.Glob(filepath.Join(l.path, asidePrefix+"*"+asideUnreported))
	if err != nil {
		return nil, nil, err
	}
	for i, path := range names {
		names[i] = filepath.Base(path)
		u, err := readUncovered(l.dir, names[i])
		if err != nil {
			return nil, nil, err
		}
		told = append(told, Event{Type: LogRecovered, Reason: reasonAside, Count: u.Lines, Hash: u.SHA256,
			Detail: fmt.Sprintf("%d bytes beyond the checkpoint were moved to %s; nothing of them had been acknowledged", u.Bytes, asideName(u.SHA256))})
	}
	return names, told, nil
}

// reported gives the files their lasting names, once the events are durable.
func (l *Log) reported(names []string, told []Event) error {
	for i, name := range names {
		if err := l.disk.rename(l.dir, name, asideName(told[i].Hash)); err != nil {
			return fmt.Errorf("rename %s: %w", strings.TrimSuffix(name, asideUnreported), err)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := l.disk.sync(l.parent, false); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
