package realm

// What Check's errors are, for tests.
var ErrUnavailable = errUnavailable

type BarredError = barredError
