package configs

import (
	_ "embed" // for the example
	"fmt"
	"strings"
)

//go:embed entry.yaml
var example string

// ExamplePolicy is a commented policy file of one lab. Its targets don't exist:
// it is for reading and editing.
//
//go:embed policy.d/tinker.yaml
var ExamplePolicy string

const exampleListener = `  - address: "127.0.0.1:2222"` + "\n"

// InitYAML is the commented entry.yaml for a new directory: the example in this
// folder with one listener on address, "host:port". All its paths lie in the
// directory it is written to. The error says that address is no such thing.
func InitYAML(address string) ([]byte, error) {
	if problem := checkListen(address); problem != "" {
		return nil, fmt.Errorf("listener %q: %s", address, problem)
	}
	// What checkListen lets pass needs no escaping inside YAML's quotes.
	own := fmt.Sprintf("  - address: %q\n", address)
	return []byte(strings.Replace(example, exampleListener, own, 1)), nil
}
