package gateway

// What Send's errors are, for tests.
var (
	ErrNumber = errNumber
	ErrText   = errText
)
