use std::fs;
use std::io::{stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_complete::Shell;

use super::Answer;

/// Print shell completions
#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write the man pages, one for each command
#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// The directory that gets `ocibake.1` and its like
    directory: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs, mut command: clap::Command) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ocibake", &mut script);
    stdout().write_all(&script)?;
    Ok(Answer::Yes)
}

pub(super) fn pages(args: &ManArgs, command: clap::Command) -> Result<Answer> {
    let directory = &args.directory;
    fs::create_dir_all(directory).with_context(|| format!("cannot create `{}`", directory.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(&command, directory, "ocibake")?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = format!("ocibake-{}", subcommand.get_name());
        write_page(&subcommand.clone().display_name(&name), directory, &name)?;
    }
    Ok(Answer::Yes)
}

fn write_page(command: &clap::Command, directory: &Path, name: &str) -> Result<()> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    // No date: a page is the same bytes whenever it is made.
    clap_mangen::Man::new(command.clone()).date("").render(&mut page)?;
    fs::write(&path, page).with_context(|| format!("cannot write `{}`", path.display()))
}
