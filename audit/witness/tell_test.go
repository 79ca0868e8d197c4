package witness

import (
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// What a witness refuses is told by how bad it is; what it cosigned, and what servers ask
// in passing, fills no disk.
func TestAnsweredInTheLog(t *testing.T) {
	t.Parallel()
	why := errors.New("no")
	for name, c := range map[string]struct {
		a    Answered
		want zapcore.Level
	}{
		"cosigned":         {Answered{Status: 200}, zap.DebugLevel},
		"asked too often":  {Answered{Status: 429, Why: why}, zap.DebugLevel},
		"which size":       {Answered{Status: 409, Why: why}, zap.DebugLevel},
		"refused":          {Answered{Status: 403, Why: why}, zap.WarnLevel},
		"behind":           {Answered{Status: 409, Why: why, Behind: true}, zap.WarnLevel},
		"failed":           {Answered{Status: 500, Why: why}, zap.ErrorLevel},
		"contradicts":      {Answered{Status: 409, Why: why, Evidence: "a checkpoint"}, zap.ErrorLevel},
		"contradicts, 500": {Answered{Status: 500, Why: why, Evidence: "a checkpoint"}, zap.ErrorLevel},
	} {
		core, seen := observer.New(zap.DebugLevel)
		c.a.Log(zap.New(core))
		all := seen.All()
		if len(all) != 1 || all[0].Level != c.want {
			t.Errorf("%s: %+v", name, all)
			continue
		}
		if got, has := all[0].ContextMap()["checkpoint"]; has != (c.a.Evidence != "") || has && got != c.a.Evidence {
			t.Errorf("%s: the evidence is %v", name, got)
		}
	}
}
