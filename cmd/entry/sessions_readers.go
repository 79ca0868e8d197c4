package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording/auditors"
)

// openTo says who can open a recording, as far as that is known; "" where it wasn't held
// against the log.
func openTo(cmd *cobra.Command, v evidence.Verdict) string {
	names := map[string]string{}
	if sourceOf(cmd) == nil {
		if cfg, err := loadConfig(cmd); err == nil {
			for _, file := range append(slices.Sorted(maps.Values(cfg.Recording.Labs)), cfg.Recording.Auditors) {
				all, _ := auditors.ReadFile(file) // of which there are none here, the fingerprints say enough
				for _, a := range all {
					names[a.Fingerprint()] = a.Short()
				}
			}
		}
	}
	var all []string
	for _, f := range v.Sealed.Auditors {
		all = append(all, cmp.Or(names[f], "the key with the fingerprint "+f))
	}
	text := plain.List(all, 10)
	switch {
	case v.Against != evidence.KnowingLog:
		return ""
	case text == "" && v.Sealed.Rewraps == 0:
		return "" // a recording of an older version doesn't say
	case text == "":
		text = "keys that aren't known"
	}
	if v.Sealed.Rewraps > 0 {
		text += "; sealed anew " + plain.Count(v.Sealed.Rewraps, "time") + ", last at " + plain.Time(v.Sealed.Last)
	}
	if v.Sealed.Unproven > 0 {
		text += ", which nothing shows to be by who could open it"
	}
	if v.Sealed.Pending() {
		text += "; that was cut off, so it may be open to those of before: entry sessions rewrap --take FILE goes on"
	}
	return text
}
