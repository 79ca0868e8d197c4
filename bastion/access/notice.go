package access

import (
	"fmt"

	"entry/policy"
)

// Notice is the one line that tells a user what is recorded and who may read
// it. It is shown on terminals, and where there is none by the guide and the
// portal's list of targets.
func Notice(g policy.Grant) string {
	target, who := g.Target().FullName(), "the auditors of "+g.Target().Lab
	switch g.Record() {
	case policy.Metadata:
		return fmt.Sprintf("entry logs when and from where you use %s, and how much, not what you do there.", target)
	case policy.Manifest:
		return fmt.Sprintf("entry records which commands you start on %s and which files you move, with their names, sizes and hashes; %s may read them.", target, who)
	}
	typed, whole := "", ""
	if g.RecordInput() {
		typed = " AND ALL YOU TYPE, passwords too unless their prompt is known"
	}
	if g.RecordComplete() {
		whole = ", and ends this session rather than miss any, once your share for the day is used up"
	}
	return fmt.Sprintf("entry records all that %s shows here%s, scripts that you pipe in, and names, sizes and hashes of files that you move%s; %s may replay it.", target, typed, whole, who)
}
