package policy

// P codes are about what the policy says; the Y codes of reading are package
// strict's. Like those they are stable.
const (
	codeName         = "P001" // a name of a wrong form
	codeReserved     = "P002" // a name that already means something else
	codeTwice        = "P003" // the same lab, target, rule or list entry twice
	codeAddress      = "P004" // not an address
	codePort         = "P005" // not a port, or not here
	codeKey          = "P006" // not a public key in authorized_keys form
	codeWeakKey      = "P007" // a key too weak to vouch for a machine
	codeNoKey        = "P008" // an SSH target nothing vouches for
	codeKind         = "P009" // a setting that doesn't fit the target's kind
	codeLogin        = "P010" // not an account name
	codeUnknownRef   = "P011" // a lab, group or target that no file defines
	codeNotMember    = "P012" // a user who isn't in that lab
	codeCapability   = "P013" // not a capability
	codeDestination  = "P014" // a forward's destination or port that can't be meant
	codeWildcardFull = "P015" // an unlisted forward where everything is recorded
	codeMisplaced    = "P016" // a setting without effect in this rule
	codeTCPRecord    = "P017" // a recording asked of a target of kind tcp
	codeTest         = "P018" // a test of the policy fails
	codeTestForm     = "P019" // a test that expects nothing, or contradicts itself
	codeTime         = "P020" // not a day, hour, time or time zone
	codeNever        = "P021" // a time that no clock or calendar ever shows
	codeQuorum       = "P022" // an approval that can't come about
)

// P1xx are warnings.
const (
	codeMatchesNobody  = "P101" // a rule that matches nobody, or nothing
	CodeUnreachable    = "P102" // a target that no rule opens for anybody
	codeHalfDenied     = "P103" // upload or download denied to who can run anything
	codeNestedSSH      = "P104" // a forward to an SSH port under a full recording
	codeStrangerLogin  = "P105" // a login map entry for a user outside the lab
	codeIgnoredContent = "P106" // something in the policy directory that isn't read
	CodeShadowed       = "P107" // a rule that another one leaves without effect
	codeNeverHolds     = "P108" // windows that lie outside the rule's period
	codeLapsed         = "P109" // a rule whose period is over
	codeEnvRuns        = "P110" // a variable that undoes a list of commands
	codeEnvAcross      = "P111" // likewise, another rule's list
	codeAmbiguous      = "P112" // a bare name that somebody may open more than once
	codeOwnApproval    = "P113" // an approval that only who asks could give
)
