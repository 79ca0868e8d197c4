package audit

import (
	"fmt"
	"io"
	"os"

	"entry/audit/segment"
)

// File names within the log directory and the witness directory.
const (
	eventsName      = segment.Current
	eventsTemp      = "events.new"
	checkpointName  = "checkpoint"
	checkpointTemp  = "checkpoint.new"
	checkpointSpare = "checkpoint.spare"
	hashesName      = "hashes"
	hashesTemp      = "hashes.new"
	lockName        = "lock"
	witnessName     = "checkpoints"
)

// readSmall reads a file that must not exceed max bytes.
func readSmall(dir *os.Root, name string, max int64) ([]byte, error) {
	f, err := segment.OpenIn(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(p)) > max {
		err = fmt.Errorf("%s is longer than %d bytes", name, max)
	}
	return p, err
}
