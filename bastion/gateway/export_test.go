package gateway

import "entry/configs"

// What Send's errors are, for tests.
var (
	ErrNumber = errNumber
	ErrText   = errText
)

// EndpointWith is one with the defaults, but for what changes say.
func EndpointWith(url string, changes ...func(*configs.Endpoint)) *configs.Endpoint {
	e := configs.NewEndpoint(url)
	for _, change := range changes {
		change(&e)
	}
	return &e
}
