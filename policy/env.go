package policy

import (
	"regexp"
	"slices"
	"strings"

	"entry/policy/strict"
)

// usualEnv is what a rule that lists no environment lets clients set: the
// language, the terminal, and what git says of its protocol. Each name goes to the
// target's sshd, which takes what its own AcceptEnv lists.
var usualEnv = []string{"LANG", "LC_*", "TERM", "COLORTERM", "GIT_PROTOCOL"}

// envForm is a variable's name, or the beginning of one before a "*".
var envForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}\*?$`)

// runsThings are beginnings of variables that are known to have programs run others,
// or look for them elsewhere.
var runsThings = []string{"LD_", "BASH_", "ENV", "PATH", "PERL", "PYTHON", "RUBY", "NODE_", "GIT_", "IFS", "SHELL", "PAGER", "EDITOR", "VISUAL", "LESS", "RSYNC_",
	"R_", "JULIA_", "JAVA_", "_JAVA_", "JDK_", "CLASSPATH", "TAR_", "MAKE", "LUA_", "TCL", "MATLAB", "GCONV_", "HOME", "XDG_", "MANPAGER", "SYSTEMD_", "VIM", "EXINIT", "PROMPT_COMMAND",
	"SSH_", "ZDOTDIR", "OMP_TOOL", "MAVEN_", "GRADLE_", "NPM_", "npm_", "SINGULARITY", "APPTAINER", "CONDA_", "OCTAVE_", "GDB", "EMACS", "TMUX", "SCREENRC"}

// harmlessEnv are variables that have no program run another one, or look for
// anything elsewhere. What any other one does to the programs that a list may name
// only they know.
var harmlessEnv = append([]string{"LANGUAGE", "TZ", "NO_COLOR", "COLUMNS", "LINES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}, usualEnv...)

func readEnv(r *rule, v strict.Value) []string {
	if !v.Present() {
		return nil
	}
	if r.may&capabilitiesOf(Shell, Exec, Upload, Download) == 0 {
		v.Errorf(codeMisplaced, "this has no effect without shell, exec, upload or download under may: it is for what runs on the target")
	}
	var out []string
	for _, item := range v.SomeItems() {
		s, ok := item.Want(`a variable such as "LC_*"`)
		switch {
		case !ok:
		case !envForm.MatchString(s):
			item.Errorf(strict.CodeValue, "%q is no variable; want a name, or its beginning and a *, as in LC_*", s)
		case slices.Contains(out, s):
			item.Errorf(codeTwice, "%q stands in this list twice", s)
		default:
			if r.commands != nil && !harmless(s) {
				item.Warnf(codeEnvRuns, "%s may have a listed command run others: exec lists commands here", s)
			}
			out = append(out, s)
		}
	}
	return out
}

// undoesLists reports whether the pattern admits a variable that is known to have
// listed commands run others.
func undoesLists(pattern string) bool {
	return !slices.Contains(usualEnv, pattern) && slices.ContainsFunc(runsThings, func(b string) bool { return overlap(pattern, b) })
}

// overlap reports whether the pattern speaks of a variable that begins like that.
func overlap(pattern, beginning string) bool {
	name, open := strings.CutSuffix(pattern, "*")
	return strings.HasPrefix(name, beginning) || open && strings.HasPrefix(beginning, name)
}

// harmless reports whether every variable that the pattern admits is.
func harmless(pattern string) bool {
	name, open := strings.CutSuffix(pattern, "*")
	return slices.ContainsFunc(harmlessEnv, func(known string) bool {
		return known == pattern || (!open || strings.HasSuffix(known, "*")) && matchesEnv(known, name)
	})
}

// matchesEnv reports whether the pattern admits the variable name.
func matchesEnv(pattern, name string) bool {
	start, open := strings.CutSuffix(pattern, "*")
	return pattern == name || open && strings.HasPrefix(name, start)
}

// admittedEnv is what r lets clients set.
func (r *rule) admittedEnv() []string {
	if r.env == nil {
		return usualEnv
	}
	return r.env
}

// AdmitsEnv reports whether a client may set the environment variable name for what
// it runs: by any of the rules that the grant rests on.
func (g Grant) AdmitsEnv(name string) bool {
	return g.d != nil && slices.ContainsFunc(g.d.allow, func(r *rule) bool {
		return r.may&g.d.capabilities != 0 && slices.ContainsFunc(r.admittedEnv(), func(pattern string) bool { return matchesEnv(pattern, name) })
	})
}

// Env is what the rules let clients set, sorted; a final * stands for any ending.
func (g Grant) Env() []string {
	var out []string
	if g.d != nil {
		for _, r := range g.d.allow {
			if r.may&g.d.capabilities != 0 { // else deny rules have left nothing of it
				out = append(out, r.admittedEnv()...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unusualEnv is Env where that isn't the built-in list, else nil.
func (g Grant) unusualEnv() []string {
	env := g.Env()
	if g.d == nil || g.d.target.Kind != SSH || slices.Equal(env, slices.Sorted(slices.Values(usualEnv))) {
		return nil
	}
	return env
}

// Env is what it lets clients set, sorted; a final * stands for any ending.
func (r Rule) Env() []string {
	return slices.Sorted(slices.Values(r.r.admittedEnv()))
}
