# Completion of ocibake in bash. The command itself says what can follow: flags, architectures, names in layouts.
_ocibake() {
    # Bash splits words at ':' and '=', which occur in the names of images: join them again.
    local line=${COMP_LINE:0:COMP_POINT} typed=() piece
    for piece in "${COMP_WORDS[@]}"; do
        if [[ ${#typed[@]} == 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            typed+=('')
        fi
        (( ${#piece} <= ${#line} )) || piece=$line
        typed[${#typed[@]}-1]+=$piece
        line=${line#"$piece"}
        [[ -n $line ]] || break
    done
    # A backslash is the shell's, not the word's.
    local words=("${typed[@]//\\/}") current=${typed[${#typed[@]}-1]}

    # What is before the last split stays on the line.
    local kept=''
    [[ $COMP_WORDBREAKS != *:* || $current != *:* ]] || kept=${current%"${current##*:}"}
    [[ $COMP_WORDBREAKS != *=* || $current != *=* || ${#kept} -gt 0 ]] || kept=${current%"${current##*=}"}

    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        candidate=$(printf '%q' "$candidate")
        COMPREPLY+=("${candidate#"$kept"}")
    done < <(_OCIBAKE_COMPLETE=1 "$1" -- "${words[@]}" 2>/dev/null)
    # Add no blank after what can be continued.
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[/:=] ]] || compopt -o nospace
}
complete -o nosort -F _ocibake ocibake 2>/dev/null || complete -F _ocibake ocibake
