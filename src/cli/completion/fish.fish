# Completion of ocibake in fish. The command itself says what can follow: flags, architectures, names in layouts.
complete --command ocibake --no-files --keep-order \
    --arguments '(_OCIBAKE_COMPLETE=1 ocibake -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor))'
