package transfer

import (
	"path"
	"regexp"
	"strings"
)

// startFiles are what shells, sshd, logins and git read or run of themselves: bash(1),
// dash(1), zsh(1), tcsh(1), ksh(1), fish(1), sshd(8), pam_env(8), systemd.unit(5),
// githooks(5). Who writes one may run programs at the next start, those of later
// transfers in the place of scp and sftp-server among them. In what isn't absolute, a
// folder is the home's.
var startFiles = regexp.MustCompile(`(^|/)(` +
	`\.(bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshenv|zshrc|zprofile|zlogin|zlogout|cshrc|tcshrc|login|logout|kshrc|mkshrc|shrc|shinit|inputrc)` +
	`|\.ssh/(rc|environment|config)|authorized_keys2?` +
	`|\.config/(fish|environment\.d|systemd/user|autostart)/.+|\.local/share/systemd/user/.+` +
	`|\.(pam_environment|xprofile|xsession|xsessionrc|xinitrc|gitconfig)|\.config/git/config|\.git/config` +
	`|hooks/(applypatch-msg|(pre|post)-(applypatch|commit|merge-commit|rebase|receive|checkout|merge|push|rewrite|auto-gc)|prepare-commit-msg|commit-msg|update|proc-receive|post-update|reference-transaction|push-to-checkout|fsmonitor-watchman|sendemail-validate)` +
	`|etc/(profile|bash\.bashrc|bashrc|environment|profile\.d/.+|zsh/.+|zshenv|zshrc|fish/.+|ssh/.+|pam\.d/.+|ld\.so\.preload)` +
	`)$|(^|/)\.local/bin/[^/]+$|^(/root|/home/[^/]+|/users/[^/]+|~[^/]*)?/?bin/[^/]+$`)

// startFolders are those that hold such files: a link to one, or another folder in its
// place, is a way to all of them.
var startFolders = regexp.MustCompile(`(^|/)(\.ssh|\.config|\.config/(fish|environment\.d|systemd|systemd/user|autostart|git)|\.local|\.local/bin|\.git|\.git/hooks|hooks|etc|etc/(ssh|profile\.d|fish|zsh|pam\.d))$|^(/root|/home/[^/]+|/users/[^/]+|~[^/]*)?/?bin$`)

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
		p = strings.TrimPrefix(path.Clean(p), "./")
		if rest, under := strings.CutPrefix(p, home+"/"); under && home != "" {
			p = rest
		}
		p = strings.TrimPrefix(p, "~/")
		low := strings.ToLower(p) // some targets' file systems take them for the same
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
	for _, folder := range []string{".config/fish", ".config/environment.d", ".config/systemd/user", ".config/autostart", ".local/share/systemd/user", ".local/bin",
		"etc/profile.d", "etc/zsh", "etc/fish", "etc/ssh", "etc/pam.d"} {
		if strings.HasPrefix(m, folder+"/") {
			return folder
		}
	}
	if dir := path.Base(path.Dir(m)); dir == "bin" || m == "bin" || path.Base(m) == "bin" {
		return "bin"
	}
	return m
}

// Homer is a [Decoder] that may know where relative paths begin.
type Homer interface{ Home() string }

// Home implements [Homer].
func (d *SFTP) Home() string { return d.home }
