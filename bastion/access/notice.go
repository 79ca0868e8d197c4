package access

import (
	"fmt"

	"entry/policy"
)

// Notice is the one line that tells a user what is recorded and who may read
// it.
func Notice(g policy.Grant) string {
	target, who := g.Target().FullName(), "the auditors of "+g.Target().Lab
	switch {
	case g.Record() == policy.Metadata:
		return fmt.Sprintf("entry logs when and from where you use %s, not what you do there.", target)
	case g.Record() == policy.Manifest:
		return fmt.Sprintf("entry records which commands and transfers you start on %s; %s may read them.", target, who)
	case g.RecordComplete():
		typed := ""
		if g.RecordInput() {
			typed = " AND ALL YOU TYPE, passwords too"
		}
		return fmt.Sprintf("entry records all that %s shows here%s, and ends this session rather than miss any, once your share for the day is used up; %s may replay it.", target, typed, who)
	case g.RecordInput():
		return fmt.Sprintf("entry records all that %s shows here AND ALL YOU TYPE, passwords too; %s may replay it.", target, who)
	}
	return fmt.Sprintf("entry records all that %s shows here; %s may replay it.", target, who)
}
