//go:build linux

package site

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"entry/configs"
)

// NewLogger returns the server's own log: JSON lines on standard error.
func NewLogger(cfg *configs.Config) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, wrongf("log.level: %w", err)
	}
	c := zap.NewProductionConfig()
	c.Level = zap.NewAtomicLevelAt(level)
	c.Sampling = nil           // a log line that isn't written can't be found
	c.DisableStacktrace = true // a refused request is no defect; a panic brings its own
	c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return c.Build()
}
