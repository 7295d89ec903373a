#compdef ocibake
# Completion of ocibake in zsh. The command itself says what can follow: flags, architectures, names in layouts.
_ocibake() {
    local line value
    local -a open open_shown closed closed_shown
    for line in "${(@f)$(_OCIBAKE_COMPLETE=1 ${(Q)words[1]} -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value=${line%%$'\t'*}
        # Add no blank after what can be continued.
        if [[ $value == *[/:=] ]]; then
            open+=("$value")
            open_shown+=("${line/$'\t'/  -- }")
        else
            closed+=("$value")
            closed_shown+=("${line/$'\t'/  -- }")
        fi
    done
    (( ! $#open )) || compadd -l -S '' -d open_shown -a open
    (( ! $#closed )) || compadd -l -d closed_shown -a closed
}
if [[ ${funcstack[1]} == _ocibake ]]; then
    _ocibake "$@"
else
    compdef _ocibake ocibake
fi
