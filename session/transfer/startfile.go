package transfer

import (
	"path"
	"regexp"
	"strings"
)

// startFiles are what shells, sshd, logins, cron, git and what many start read or run of
// themselves: bash(1) and distributions' .bashrc, dash(1), zsh(1), tcsh(1), ksh(1),
// fish(1), sshd(8), rshd(8), pam_env(8), pam_krb5 (.k5login), popt(3) (rsync's aliases),
// aliases(5) (.forward), systemd.unit(5), crontab(5), githooks(5), git-config(1), vim(1),
// tmux(1), Python's site. Who writes one may run programs at the next start, those of later
// transfers in the place of scp and sftp-server among them. In what isn't absolute, a
// folder is the home's. The list can't be whole: any program may start from more.
var startFiles = regexp.MustCompile(`(^|/)(` +
	`\.(bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshenv|zshrc|zprofile|zlogin|zlogout|cshrc|tcshrc|login|logout|kshrc|mkshrc|shrc|shinit|inputrc|alias)` +
	`|\.(bashrc|bash_profile|profile|zshrc|zsh|bash)\.d/.+|\.(oh-my-zsh|oh-my-bash|bash_it)/.+` +
	`|\.ssh/(rc|environment|config)|authorized_keys2?|\.(k5login|rhosts|shosts)` +
	`|\.config/(fish|environment\.d|systemd/user|autostart|nvim|tmux)/.+|\.local/share/systemd/user/.+` +
	`|\.(pam_environment|xprofile|xsession|xsessionrc|xinitrc|popt|forward|vimrc|gvimrc|exrc|tmux\.conf|screenrc|emacs|gdbinit|pythonrc)|\.vim/.+|\.emacs\.d/.+` +
	`|\.gitconfig|\.config/(git/config|popt)|(\.git|[^/]+\.git)/(.+/)?config(\.worktree)?` +
	`|(site|dist)-packages/((usercustomize|sitecustomize)\.py|(usercustomize|sitecustomize)/__init__\.py|[^/]+\.pth)` +
	`|hooks/(applypatch-msg|(pre|post)-(applypatch|commit|merge-commit|rebase|receive|checkout|merge|push|rewrite|auto-gc)|prepare-commit-msg|commit-msg|update|proc-receive|post-update|reference-transaction|push-to-checkout|fsmonitor-watchman|sendemail-validate)` +
	`|etc/(profile|bash\.bashrc|bashrc|csh\.(cshrc|login)|environment|profile\.d/.+|zsh/.+|zshenv|zshrc|fish/.+|ssh/.+|pam\.d/.+|security/.+|ld\.so\.(preload|conf)|ld\.so\.conf\.d/.+` +
	`|gitconfig|popt|popt\.d/.+|crontab|anacrontab|cron\.[^/]+/.+|rc\.local|init\.d/.+|systemd/.+|sudoers|sudoers\.d/.+|skel/.+|hosts\.equiv|shosts\.equiv|inputrc|vimrc|vim/.+|tmux\.conf)` +
	`)$|(^|/)\.local/bin/[^/]+$|^(/root|/home/[^/]+|/users/[^/]+|~[^/]*)?/?bin/[^/]+$` +
	`|^/(usr/)?(local/)?s?bin/[^/]+$|^/(usr/)?(local/)?lib(64|exec)?/(openssh|ssh|git-core|python[0-9.]*|security|systemd)/.+$|^/opt/[^/]+/bin/[^/]+$|^/var/spool/(cron|at|anacron)/.+$`)

// startFolders are those that hold such files: a link to one, or another folder in its
// place, is a way to all of them.
var startFolders = regexp.MustCompile(`(^|/)(\.ssh|\.config|\.config/(fish|environment\.d|systemd|systemd/user|autostart|git|nvim|tmux)|\.local|\.local/bin|\.git|\.git/hooks|[^/]+\.git|hooks` +
	`|\.(bashrc|bash_profile|profile|zshrc|zsh|bash)\.d|\.oh-my-zsh(/custom)?|\.vim|\.emacs\.d|(site|dist)-packages` +
	`|etc|etc/(ssh|profile\.d|fish|zsh|pam\.d|security|cron\.[^/]+|systemd|sudoers\.d|init\.d|skel))$|^(/root|/home/[^/]+|/users/[^/]+|~[^/]*)?/?bin$|^/(usr/)?(local/)?s?bin$|^/var/spool/cron(/crontabs)?$`)

// startDirs are folders all of whose files count: which one of them it is may be anybody's
// own, and isn't told.
var startDirs = regexp.MustCompile(`^(\.config/(fish|environment\.d|systemd/user|autostart|nvim|tmux)|\.local/(share/systemd/user|bin)|\.[a-z_]+\.d|\.(oh-my-zsh|oh-my-bash|bash_it|vim)` +
	`|etc/(profile\.d|zsh|fish|ssh|pam\.d|security|ld\.so\.conf\.d|popt\.d|cron\.[a-z]+|init\.d|systemd|sudoers\.d|skel|vim)|(site|dist)-packages` +
	`|(usr/)?(local/)?lib(64|exec)?/(openssh|ssh|git-core|python[0-9.]*|security|systemd)|var/spool/[a-z]+)(/|$)`)

// StartFile names what e writes, or leads to, of what shells, sshd and git start from:
// ".bashrc", ".ssh/rc", "a folder .ssh"; "" if nothing of it is known to. home is where
// relative paths begin, "" isn't known. Links that were there before aren't followed, and
// of the files of an rsync or a push nothing is known.
func (e Entry) StartFile(home string) string {
	if e.Outcome == Refused || e.Outcome == Failed && e.Size == 0 {
		return ""
	}
	paths := []string{e.To}
	switch e.Operation {
	case "put":
		paths = append(paths, e.Path)
	case "symlink", "hardlink":
		paths = append(paths, e.Path)
		if e.Operation == "symlink" && !strings.HasPrefix(e.To, "/") { // it is read from where the link is
			paths = append(paths, path.Join(path.Dir(e.Path), e.To))
		}
	case "rename", "posix-rename", "copy-data":
	default:
		return ""
	}
	folders := e.Operation != "put" && e.Operation != "copy-data" || e.Protocol == "rsync"
	for _, p := range paths {
		if p == "" {
			continue
		}
		low := strings.ToLower(plainPath(p, home)) // some targets' file systems take them for the same
		if m := startFiles.FindString(low); m != "" {
			return named(m)
		} else if m := startFolders.FindString(low); m != "" && folders {
			return "a folder " + named(m)
		}
	}
	return ""
}

// named is what matched, without what is anybody's own.
func named(m string) string {
	m = strings.TrimPrefix(m, "/")
	if dir := startDirs.FindString(m); dir != "" {
		return strings.TrimSuffix(dir, "/")
	}
	switch dir, base := path.Base(path.Dir(m)), path.Base(m); {
	case dir == "bin" || dir == "sbin" || base == "bin" || base == "sbin":
		return "bin"
	case strings.HasPrefix(base, "config") && m != ".git/"+base && m != ".ssh/"+base && m != ".config/git/"+base:
		return "a repository's " + base
	case strings.HasSuffix(base, ".git") && base != ".git":
		return "*.git"
	}
	return m
}

// Starts finds start files among all that one session writes. The zero Starts knows of
// none; it isn't safe for concurrent use.
type Starts struct{ heads, configs map[string]bool } // folders that have a HEAD, or a config, of git

// maxRepositories bounds how many folders are remembered of each.
const maxRepositories = 256

// Of is [Entry.StartFile], and knows the config of a bare repository by the HEAD beside
// it, or by a git that was run there: any folder may be one (gitrepository-layout(5)).
func (s *Starts) Of(e Entry, home string) string {
	if what := e.StartFile(home); what != "" {
		return what
	}
	if e.Protocol == "git" {
		remember(&s.heads, plainPath(e.Path, home))
		return ""
	}
	p := e.Path
	switch e.Operation {
	case "rename", "posix-rename", "hardlink", "copy-data":
		p = e.To
	case "put", "symlink":
	default:
		return ""
	}
	if e.Outcome == Refused || e.Outcome == Failed && e.Size == 0 {
		return ""
	}
	p = plainPath(p, home)
	dir, base := path.Dir(p), strings.ToLower(path.Base(p))
	switch {
	case base == "head":
		remember(&s.heads, dir)
		if !s.configs[dir] {
			return ""
		}
	case base == "config" || base == "config.worktree":
		remember(&s.configs, dir)
		if !s.heads[dir] {
			return ""
		}
	default:
		return ""
	}
	return "a repository's config"
}

func remember(set *map[string]bool, dir string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	if len(*set) < maxRepositories {
		(*set)[dir] = true
	}
}

// plainPath is p in one form, without a home's.
func plainPath(p, home string) string {
	p = strings.TrimPrefix(path.Clean(p), "./")
	if rest, under := strings.CutPrefix(p, home+"/"); under && home != "" {
		p = rest
	}
	return strings.TrimPrefix(p, "~/")
}

// Homer is a [Decoder] that may know where relative paths begin.
type Homer interface{ Home() string }

// Home implements [Homer].
func (d *SFTP) Home() string { return d.home }
