package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"
)

func asJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// eachJSON prints NDJSON.
func eachJSON[T any](all []T) error {
	enc := json.NewEncoder(os.Stdout)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
