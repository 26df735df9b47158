//! Connect's own clients, in node and in a browser.

use std::path::Path;

use super::ignored_test;
use super::node::Node;
use crate::console::say;
use crate::plan::{Note, Notes};
use crate::shell::Tool;

/// Calls by Connect, gRPC-Web and gRPC to our server, from node and from Chromium.
///
/// Only Debian's Chromium is brought, a program of Linux: elsewhere there is no browser to run.
pub(crate) fn connect(root: &Path) -> Result<Notes, String> {
    let home = root.join("target/connect");
    let node = Node::new(root)?;
    node.modules(root, "xtask/npm/connect", &home)?;
    let has_browser = cfg!(target_os = "linux");
    if has_browser {
        chromium(&home)?;
    }
    let mut test = ignored_test(root, "dreammesh-interop", "interop").args(["connect::"]);
    if !has_browser {
        test = test.args(["--skip", "in_a_browser"]);
    }
    test.env("DREAMMESH_TEST_NODE", node.program)
        .env("DREAMMESH_TEST_CONNECT", home)
        .run()?;
    Ok(match has_browser {
        true => Notes::new(),
        false => vec![Note::NotChecked(
            "there is no Chromium of Debian's here".to_owned(),
        )],
    })
}

/// Leaves a program `chromium` in that directory, unpacked from Debian's packages with whatever of
/// its libraries this machine lacks; where Debian's is installed, it is that.
fn chromium(home: &Path) -> Result<(), String> {
    let program = home.join("chromium");
    if program.is_file() {
        return Ok(());
    }
    let listed = || {
        Tool::new("apt-get", home)
            .args([
                "install",
                "--simulate",
                "--no-install-recommends",
                "chromium",
            ])
            .read()
    };
    let listed = match listed() {
        Ok(listed) => listed,
        Err(_) => {
            // A new machine has no package lists yet.
            Tool::new("apt-get", home).args(["update", "-q"]).run()?;
            listed()?
        }
    };
    let packages: Vec<&str> = listed.lines().filter_map(installed).collect();
    let script = match packages.is_empty() {
        true => "#!/bin/sh\nexec /usr/bin/chromium \"$@\"\n".to_owned(),
        false => {
            super::debian(home, &packages, "usr/lib/chromium/chromium")?;
            format!(
                "#!/bin/sh\nhome='{}/debian/usr/lib'\nlibraries=\"$home/$(uname -m)-linux-gnu\"\n\
                 export LD_LIBRARY_PATH=\"$libraries:$libraries/pulseaudio\"\n\
                 exec \"$home/chromium/chromium\" \"$@\"\n",
                home.display()
            )
        }
    };
    say(format!("writing {}", program.display()));
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    std::fs::write(&program, script).map_err(failed)?;
    Tool::new("chmod", home).args(["+x", "chromium"]).run()
}

/// The package that a line of apt-get's says it would install.
fn installed(line: &str) -> Option<&str> {
    line.strip_prefix("Inst ")?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_installed_is_a_package() {
        let line = "Inst libogg0 (1.3.5-3 Debian:12.5/oldstable [amd64])";
        assert_eq!(installed(line), Some("libogg0"));
        assert_eq!(
            installed("Conf libogg0 (1.3.5-3 Debian:12.5/oldstable [amd64])"),
            None
        );
        assert_eq!(installed("Reading package lists..."), None);
    }
}
