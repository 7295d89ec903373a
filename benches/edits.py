"""Edits of a layout that holds many images, beside umoci. What they edit, nothing is read of but documents."""

from measure import Contestant

IMAGES = 1000

# Makes in $INPUT two layouts of many small images each, `ours` and `theirs`, so that neither meets what the other leaves.
PREPARE = f"""
mkdir "$INPUT/tree"
for number in $(seq {IMAGES}); do
    echo "$number" > "$INPUT/tree/number"
    "$OCIBAKE" build "$INPUT/tree" "oci:$INPUT/ours:v$number" --arch "$(uname -m)" --label "number=$number" --quiet
done
cp -al "$INPUT/ours" "$INPUT/theirs"
"""

# Another value each time: what is no change would write nothing.
CONTESTANTS = {
    "config": Contestant("ocibake config", [], """
"$OCIBAKE" config "oci:$INPUT/ours:v500" --label "now=$EPOCHREALTIME"
"""),
    "umoci-config": Contestant("umoci config", ["umoci"], """
umoci config --image "$INPUT/theirs:v500" --config.label "now=$EPOCHREALTIME"
"""),
    "attach": Contestant("ocibake attach", [], """
echo "$EPOCHREALTIME" > "$OUT/note"
"$OCIBAKE" attach "oci:$INPUT/ours:v500" "$OUT/note" --type text/plain
"""),
    "gc": Contestant("ocibake gc", [], '"$OCIBAKE" gc "oci:$INPUT/ours" --quiet'),
    "umoci-gc": Contestant("umoci gc", ["umoci"], 'umoci gc --layout "$INPUT/theirs"'),
}
PEERS = {"config": "umoci-config", "gc": "umoci-gc"}
CONFIG_TARGET = 50  # milliseconds
