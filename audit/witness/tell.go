package witness

import "go.uber.org/zap"

// Log says in the witness's own log what was refused and why. What it cosigned
// is in its state; who asks too often fills no disk.
func (a Answered) Log(log *zap.Logger) {
	fields := []zap.Field{zap.String("from", a.From), zap.String("log", a.Origin), zap.Uint64("size", a.Size), zap.Int("status", a.Status), zap.Error(a.Why)}
	switch {
	case a.Evidence != "":
		log.Error("A LOG CONTRADICTS WHAT WAS COSIGNED: it was changed, or put back, and signed again", append(fields, zap.String("checkpoint", a.Evidence))...)
	case a.Status >= 500:
		log.Error("failed", fields...)
	case a.Behind:
		log.Warn("a log shows fewer records than were cosigned: it may have been put back to an older state", fields...)
	case a.Why != nil && a.Status != 429 && a.Status != 409: // a server asks which size is known
		log.Warn("not cosigned", fields...)
	default:
		log.Debug("cosigned", fields...)
	}
}
