package transfer

import (
	"strings"
	"testing"
)

// What shells, sshd and git start from is known by whatever path and way it is written.
func TestStartFiles(t *testing.T) {
	for _, tt := range []struct {
		operation, path, to, home, want string
	}{
		{"put", ".bashrc", "", "", ".bashrc"}, {"put", "/home/ada/.bashrc", "", "", ".bashrc"}, {"put", "~/.profile", "", "", ".profile"}, {"put", "~ada/.zshenv", "", "", ".zshenv"},
		{"put", "./x/..//.BASHRC", "", "", ".bashrc"}, {"put", "/srv/ada/.ssh/./rc", "", "/srv/ada", ".ssh/rc"}, {"put", ".ssh/authorized_keys", "", "", "authorized_keys"},
		{"put", ".config/fish/conf.d/ada.fish", "", "", ".config/fish"}, {"put", "x.git/hooks/post-receive", "", "", "hooks/post-receive"}, {"put", "/data/x/.git/hooks/pre-commit", "", "", "hooks/pre-commit"},
		{"put", "bin/scp", "", "", "bin"}, {"put", "/home/ada/bin/scp", "", "", "bin"}, {"put", "/srv/h/bin/scp", "", "/srv/h", "bin"}, {"put", "~/bin/scp", "", "", "bin"}, {"put", ".local/bin/scp", "", "", ".local/bin"},
		{"put", "place", ".bashrc", "", ".bashrc"}, // scp's, where it isn't known whether the place is a folder
		{"put", "/etc/profile.d/x.sh", "", "", "etc/profile.d"},
		{"rename", "x", "/home/ada/.bashrc", "", ".bashrc"}, {"posix-rename", "x", ".zshrc", "", ".zshrc"}, {"rename", "x", "/home/ada/.ssh", "", "a folder .ssh"}, {"rename", "x", "bin", "", "a folder bin"},
		{"symlink", ".bashrc", "/tmp/x", "", ".bashrc"}, {"symlink", "/tmp/x", "/home/ada/.bashrc", "", ".bashrc"}, {"symlink", "x", ".ssh", "", "a folder .ssh"}, {"symlink", ".config/x", "fish/config.fish", "", ".config/fish"},
		{"hardlink", "x", ".bashrc", "", ".bashrc"}, {"hardlink", ".bashrc", "x", "", ".bashrc"}, {"copy-data", "x", ".bashrc", "", ".bashrc"},

		{"put", ".bashrc.d/ada", "", "", ".bashrc.d"}, {"put", "~/.k5login", "", "", ".k5login"}, {"put", "/home/ada/.popt", "", "", ".popt"}, {"put", ".rhosts", "", "", ".rhosts"}, {"put", ".shosts", "", "", ".shosts"},
		{"put", ".forward", "", "", ".forward"}, {"put", ".alias", "", "", ".alias"}, {"put", ".vimrc", "", "", ".vimrc"}, {"put", ".vim/plugin/x.vim", "", "", ".vim"}, {"put", ".tmux.conf", "", "", ".tmux.conf"},
		{"put", ".local/lib/python3.11/site-packages/usercustomize.py", "", "", "site-packages"}, {"put", "/x/venv/lib/python3.11/site-packages/ada.pth", "", "", "site-packages"}, {"put", "/usr/lib/python3/dist-packages/sitecustomize.py", "", "", "usr/lib/python3"},
		{"put", ".oh-my-zsh/custom/ada.zsh", "", "", ".oh-my-zsh"}, {"put", "r.git/config", "", "", "a repository's config"}, {"put", "/srv/r.git/modules/x/config", "", "", "a repository's config"}, {"put", "x/.git/config.worktree", "", "", ".git/config.worktree"}, {"put", "x/.git/config", "", "", ".git/config"},
		{"put", "/usr/local/bin/scp", "", "", "bin"}, {"put", "/usr/sbin/sshd", "", "", "bin"}, {"put", "/usr/lib/openssh/sftp-server", "", "", "usr/lib/openssh"}, {"put", "/etc/cron.d/ada", "", "", "etc/cron.d"}, {"put", "/etc/gitconfig", "", "", "etc/gitconfig"},
		{"put", "/var/spool/cron/crontabs/ada", "", "", "var/spool/cron"}, {"put", "/etc/sudoers.d/ada", "", "", "etc/sudoers.d"}, {"put", ".config/git/config", "", "", ".config/git/config"}, {"put", ".ssh/config", "", "", ".ssh/config"},
		{"rename", "x", "/srv/r.git", "", "a folder *.git"}, {"rename", "x", ".bashrc.d", "", "a folder .bashrc.d"}, {"symlink", "/usr/local/bin", "/tmp", "", "a folder bin"},
		{"put", "config", "", "", ""}, {"put", "x/config", "", "", ""}, {"put", "HEAD", "", "", ""}, {"put", "/data/cron.d/x", "", "", ""}, {"put", "x/usr/local/bin/y", "", "", ""}, {"put", "site-packages/numpy/a.py", "", "", ""}, {"put", "x.git/objects/ab/cd", "", "", ""}, {"put", "vimrc", "", "", ""}, {"put", "/data/python3/x", "", "", ""},

		{"put", "data.csv", "", "", ""}, {"put", "bashrc", "", "", ""}, {"put", "x.bashrc", "", "", ""}, {"put", ".bashrc.csv", "", "", ""}, {"put", "/data/bin/x", "", "/home/ada", ""}, {"put", "hooks/readme", "", "", ""},
		{"get", ".bashrc", "", "", ""}, {"rename", ".bashrc", "x", "", ""}, {"mkdir", ".ssh", "", "", ""}, {"setstat", ".bashrc", "", "", ""}, {"remove", ".bashrc", "", "", ""},
	} {
		e := Entry{Operation: tt.operation, Path: tt.path, To: tt.to, Outcome: OK}
		if got := e.StartFile(tt.home); got != tt.want {
			t.Errorf("%s %q %q, home %q: %q, want %q", tt.operation, tt.path, tt.to, tt.home, got, tt.want)
		}
		e.Outcome = Refused
		if got := e.StartFile(tt.home); got != "" {
			t.Errorf("%s %q, refused: %q", tt.operation, tt.path, got)
		}
	}
}

// The config of a bare repository, which any folder may be, is known by what is beside it.
func TestABareRepositorysConfig(t *testing.T) {
	put := func(p string) Entry { return Entry{Protocol: "sftp", Operation: "put", Path: p, Outcome: OK} }
	for name, tt := range map[string]struct {
		entries []Entry
		want    string
	}{
		"HEAD first":        {[]Entry{put("/srv/r/HEAD"), put("/srv/r/config")}, "a repository's config"},
		"config first":      {[]Entry{put("~/r/config"), put("/home/ada/r/HEAD")}, "a repository's config"},
		"renamed":           {[]Entry{put("r/HEAD"), {Operation: "rename", Path: "x", To: "./r/config", Outcome: OK}}, "a repository's config"},
		"one that is used":  {[]Entry{{Protocol: "git", Operation: "push", Path: "/srv/r", Outcome: OK}, put("/srv/r/config.worktree")}, "a repository's config"},
		"another folder's":  {[]Entry{put("/srv/q/HEAD"), put("/srv/r/config")}, ""},
		"refused":           {[]Entry{put("r/HEAD"), {Operation: "put", Path: "r/config", Outcome: Refused}}, ""},
		"read":              {[]Entry{put("r/HEAD"), {Operation: "get", Path: "r/config", Outcome: OK}}, ""},
		"what others start": {[]Entry{put(".bashrc")}, ".bashrc"},
	} {
		var s Starts
		got := ""
		for _, e := range tt.entries {
			got = s.Of(e, "/home/ada")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	var s Starts
	for i := range 10 * maxRepositories {
		s.Of(put(strings.Repeat("x", i%300+1)+strings.Repeat("y", i/300)+"/HEAD"), "")
	}
	if len(s.heads) > maxRepositories {
		t.Errorf("%d folders are remembered", len(s.heads))
	}
}
