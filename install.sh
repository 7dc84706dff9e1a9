#!/bin/sh
# Installs Klipper Router for Klipper or Kalico, checks it, uninstalls it, and makes new instances
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Runs under dash and BusyBox ash. Everything is checked before anything is
# changed. Updating takes no install.sh: the link leads to a folder, so git pull
# and a restart of Klipper's service are enough.
#
# Sections, in this order:
#   Help and options        the command line
#   Messages                what every error and every change goes through
#   Running processes       the Klippys that run now
#   The Klipper tree        which one, where the link goes, its Python
#   Instances               the Klippys of this machine: name, socket, config
#   Sections and includes   what the configs of the instances contain
#   The old router daemon   whether it runs, how to stop it
#   Checks                  what must be true before anything is changed
#   Added text              a block of lines in a file, and its removal
#   Moonraker               its update manager
#   Restart                 of Klipper's services, never during a print
#   Install, New instance, Remove an instance, Uninstall, Status, Doctor: what
#                           the options do, one section each

# shellcheck disable=SC2012  # ls instead of stat, which a BusyBox may lack
set -eu
export LC_ALL=C
unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

HERE=$(cd "$(dirname -- "$0")" && pwd -P)
SOURCE=$HERE/klippy_extras/router
HOME=${HOME:-/root}
# The tests have their own /proc, /etc and /run below this folder
SYSROOT=${ROUTER_INSTALL_ROOT:-}
TAB=$(printf '\t')
NEWLINE='
'

# ---- Help and options -------------------------------------------------------

usage() {
    cat <<USAGE
Usage: install.sh [--uninstall | --status | --doctor | --help] [options]

Links Klipper Router into Klipper's folder of extras and prints the sections to
add to printer.cfg. Restarts nothing and changes no config unless asked to.

  -k PATH                  the folder of Klipper or Kalico (default:
                           \$KLIPPER_PATH, ~/klipper, then the running one)
  --host NAME              the main printer, which gets [router]: a name that --status
                           shows, or its folder, such as printer_data (the default)
  --write-config FILE      write the sections to a new file
  --update-manager [FILE]  add Klipper Router to this moonraker.conf
                           (default: that of the main printer)
  --restart                restart Klipper afterwards, unless a print is running
  --allow-root             as root, change files of an ordinary user, too
  --dry-run                only print what would be done
  --new-instance NAME      make another instance of Klipper: folder, service, printer.cfg
  --serial PATH            the board of --new-instance (default: one that is not in use)
  --remove-instance NAME   remove what --new-instance has made
  --uninstall              remove what install.sh has added
  --status                 show what is installed where, and which version
  --doctor                 check everything and say what to do; changes nothing
USAGE
}

parse_options() {
    action=install tree_option='' host_option='' config_file='' moonraker_conf=''
    update_manager=no restart=no allow_root=no dry_run=no new_name='' serial=''
    while [ $# -gt 0 ]; do
        case $1,${2:-} in
        -k, | --host, | --write-config, | --new-instance, | --serial, | --remove-instance,)
            die "$1 needs a value; see --help"
            ;;
        esac
        case $1 in
        -k) tree_option=$2 && shift ;;
        --host) host_option=$2 && shift ;;
        --write-config) config_file=$2 && shift ;;
        --update-manager)
            update_manager=yes
            case ${2:-} in '' | -*) ;; *) moonraker_conf=$2 && shift ;; esac
            ;;
        --new-instance) action=new_instance new_name=$2 && shift ;;
        --serial) serial=$2 && shift ;;
        --remove-instance) action=remove_instance new_name=$2 && shift ;;
        --uninstall) action=uninstall ;;
        --status) action=status ;;
        --doctor) action=doctor ;;
        --restart) restart=yes ;;
        --allow-root) allow_root=yes ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage && exit ;;
        *) die "there is no option $1; see --help" ;;
        esac
        shift
    done
    [ -z "$serial" ] || [ "$action" = new_instance ] || die "--serial belongs to --new-instance"
    case $action,$restart$update_manager$config_file in
    *_instance,nono) ;;
    *_instance,*) die "--new-instance and --remove-instance go without --restart," \
        "--update-manager and --write-config: run install.sh again for these" ;;
    esac
}

# ---- Messages ---------------------------------------------------------------

note() { echo "Note: $*" >&2; }
one_line() { echo "$1" | tr '\n' ' ' | sed 's/ $//'; }
user_name() { id -un 2>/dev/null || id -u; }

die() {
    echo "install.sh: $*" >&2
    exit 1
}

# Ends a check that has failed.
refuse() { die "$*; nothing was changed"; }

# Announces a change and makes it; with --dry-run it only says what it would do.
act() { # WHAT COMMAND...
    what=$1
    shift
    changed=yes
    if [ "$dry_run" = yes ]; then
        echo "Would $what"
    else
        error=$("$@" 2>&1 </dev/null) || die "could not $what: $(one_line "$error")"
        echo "Done: $what"
    fi
}

# Calls a function with each line of a text.
for_each_line() { # FUNCTION TEXT
    while IFS= read -r line_of_text <&3; do
        [ -z "$line_of_text" ] || "$1" "$line_of_text"
    done 3<<TEXT
$2
TEXT
}

# ---- Running processes ------------------------------------------------------

# The folders in /proc of the processes whose command line contains one of these
# words. A read needs no new process, and skips the NULs between the arguments.
processes_with() { # WORD...
    for process in "$SYSROOT"/proc/[0-9]*; do
        line=
        2>/dev/null <"$process/cmdline" read -r line || true
        for word in "$@"; do
            case $line in *"$word"*) echo "$process" && break ;; esac
        done
    done
}

# The strings of a file in /proc, one per line.
lines_of() { 2>/dev/null <"$1" tr '\0' '\n'; }

# From the words of a command, one per line, to where its Klippy is, the API
# socket and the config, separated by tabs; - stands for what is not given. -u
# is an option that a vendor added.
klippy_command() {
    awk -v tab="$TAB" '
        !source {
            if (previous == "-m" && /^klippy/ || /\/kalico$/) source = "package"
            if (/(^|\/)klippy\.py$/) source = $0
            previous = $0
            next
        }
        wanted == "-a" { socket = $0 }
        wanted { wanted = ""; next }
        /^(-i|--debuginput)/ { batch = 1 }
        /^-[aIlodu]$/ { wanted = $0; next }
        /^--api-server$/ { wanted = "-a"; next }
        /^--(input-tty|logfile|debugoutput|dictionary|api-server-(user|group|file-mode))$/ {
            wanted = "other"
            next
        }
        sub(/^(-a|--api-server=)/, "") { socket = $0; next }
        !/^-/ && !config { config = $0 }
        END {
            if (!source || batch) exit
            print source tab (socket ? socket : "-") tab (config ? config : "-")
        }'
}

# One line per running Klippy: its tree (- if unknown), Python, API socket,
# config and process ID.
running_klippys() {
    processes_with klippy kalico | while IFS= read -r process; do
        arguments=$(lines_of "$process/cmdline") || continue
        python=${arguments%%"$NEWLINE"*}
        case $python in *python*) ;; *) continue ;; esac
        IFS=$TAB read -r source socket config <<COMMAND
$(printf '%s\n' "$arguments" | klippy_command)
COMMAND
        [ -n "$source" ] || continue
        folder=$(cd -P "$process/cwd" 2>/dev/null && pwd -P) || folder=/
        tree=$(tree_of "$python" "$folder" "$source" 2>/dev/null) || tree=-
        socket=$(absolute "$folder" "$socket") config=$(absolute "$folder" "$config")
        # In a container, the paths are not those of this machine
        [ "$tree" != - ] || [ -f "$config" ] || continue
        echo "$tree$TAB$python$TAB$socket$TAB$config$TAB${process##*/}"
    done
}

# The tree of a Klippy that runs in this folder.
tree_of() { # PYTHON FOLDER SOURCE
    cd "$2" && if [ "$3" = package ]; then
        package=$("$1" -c 'import klippy; print(klippy.__path__[0])') && cd "$package/.."
    else
        cd "$(dirname -- "$3")/.."
    fi && pwd -P
}

absolute() { # FOLDER PATH
    case $2 in - | /*) echo "$2" ;; *) echo "$1/$2" ;; esac
}

running_trees() { echo "$RUNNING" | cut -f 1 | grep -vx -e - | sort -u; }

# ---- The Klipper tree -------------------------------------------------------

is_klipper_tree() { [ -f "$1/klippy/klippy.py" ] && [ -d "$1/klippy/extras" ]; }

# Sets TREE.
find_tree() {
    TREE=${tree_option:-${KLIPPER_PATH:-}}
    if [ -z "$TREE" ]; then
        if is_klipper_tree "$HOME/klipper"; then TREE=$HOME/klipper; else TREE=$(running_trees); fi
        case $TREE in
        '') die "found no Klipper in ~/klipper and none running: give its folder with -k PATH" ;;
        *"$NEWLINE"*) die "several Klippers are running, choose one with -k: $(one_line "$TREE")" ;;
        esac
    fi
    [ -e "$TREE" ] || die "there is no $TREE: give the folder of Klipper with -k PATH"
    is_klipper_tree "$TREE" || die "$TREE is not a Klipper tree (no klippy/klippy.py and" \
        "klippy/extras in it): give the folder of Klipper with -k PATH"
    TREE=$(cd "$TREE" && pwd -P)
}

# Sets KIND, LINK and OTHER_LINK: where the link belongs, and where it must not
# be. Kalico has a folder of its own for extras, and refuses a name that is in both.
find_link() {
    KIND=Klipper LINK=$TREE/klippy/extras/router OTHER_LINK=$TREE/klippy/plugins/router
    if [ -d "$TREE/klippy/plugins" ] && ! is_left_by_kalico; then
        KIND=Kalico OTHER_LINK=$LINK LINK=$TREE/klippy/plugins/router
    fi
}

# In a checkout that was switched from Kalico to Klipper, what git does not track
# keeps the folder plugins alive.
is_left_by_kalico() {
    for entry in "$TREE"/klippy/plugins/*; do
        case $entry in */router | */__pycache__) ;; *) return 1 ;; esac
    done
    grep -q extras "$TREE/klippy/klippy.py" && ! grep -q plugins "$TREE/klippy/klippy.py"
}

# A link is ours if it leads to this copy, or to a copy that no longer exists.
is_our_link() {
    [ -L "$1" ] || return 1
    if [ -e "$1" ]; then
        [ "$(cd "$1" 2>/dev/null && pwd -P)" = "$SOURCE" ]
    else
        case $(readlink "$1") in */klippy_extras/router) ;; *) return 1 ;; esac
    fi
}

# Sets EXCLUDE: the file of patterns that git ignores in this tree only.
find_exclude() {
    EXCLUDE=
    [ -e "$TREE/.git" ] || return 0
    if EXCLUDE=$(git -C "$TREE" rev-parse --git-path info/exclude 2>/dev/null); then
        case $EXCLUDE in /*) ;; *) EXCLUDE=$TREE/$EXCLUDE ;; esac
    elif [ -d "$TREE/.git" ]; then
        EXCLUDE=$TREE/.git/info/exclude
    fi
}

is_excluded() { grep -qsx "/*${LINK#"$TREE/"}" "$EXCLUDE"; }

# Sets PYTHON: what runs the Klippy of this tree, or most likely would.
find_python() {
    environment=$(dirname "$TREE")/klippy-env
    case $TREE in */site-packages) environment=$TREE/../../.. ;; esac
    while IFS= read -r PYTHON; do
        [ -z "$PYTHON" ] || ! command -v "$PYTHON" >/dev/null || return 0
    done <<CANDIDATES
$(echo "$RUNNING" | awk -F "$TAB" -v tree="$TREE" '$1 == tree { print $2; exit }')
$environment/bin/python
$TREE/.venv/bin/python
$HOME/klippy-env/bin/python
/usr/share/klippy-env/bin/python
CANDIDATES
    PYTHON=
}

python_version() {
    "$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

version_of() { sed -n 's/^VERSION = "\(.*\)"/\1/p' "$1/version.py" 2>/dev/null || true; }

commit_of() { git -C "$1" describe --always --tags --dirty 2>/dev/null || echo "unknown commit"; }

# The commit of the tree, not that of a repository around it.
commit_of_tree() {
    if [ -e "$TREE/.git" ]; then commit_of "$TREE"; else echo "no git checkout"; fi
}

this_copy() { echo "$HERE, version ${VERSION:-unknown} ($(commit_of "$HERE"))"; }

# ---- Instances --------------------------------------------------------------

# One line per Klippy of this machine, the main one first: name, API socket,
# config (- if unknown), and its process ID or how else it was found.
find_instances() {
    {
        echo "$RUNNING" | awk -F "$TAB" -v OFS="$TAB" '$3 != "-" && $4 ~ /^\// {
            print ($4 !~ /\/printer_data\/config\/printer\.cfg$/), $5, $3, $4 }' | sort | cut -f 2-
        service_klippys
        data_folders | sed "s,.*,folder$TAB&/comms/klippy.sock$TAB&/config/printer.cfg,"
        data_folders | while IFS= read -r data; do
            for socket in "$data"/comms/klipp*.sock; do
                [ ! -S "$socket" ] || echo "socket$TAB$socket$TAB-"
            done
        done
    } | while IFS=$TAB read -r how socket config; do
        echo "$how$TAB$socket$TAB$config$TAB$(real_path "$socket")$TAB$(real_path "$config")"
    done | awk -F "$TAB" '!(seen[$4]++ || ($5 != "-" && seen[$5]++))' |
        name_instances | sort | cut -f 2-
}

is_process() { case $1 in '' | *[!0-9]*) return 1 ;; esac }

real_path() { readlink -f "$1" 2>/dev/null || echo "$1"; }

# printer_data and its like, in the home folder and next to Klipper.
data_folders() {
    for base in "$HOME" "${TREE:+$(dirname "$TREE")}"; do
        base=$([ -n "$base" ] && cd "$base" 2>/dev/null && pwd -P) || continue
        for data in "$base/printer_data" "$base"/printer_*_data; do
            if [ -f "$data/config/printer.cfg" ] || [ -S "$data/comms/klippy.sock" ]; then
                echo "$data"
            fi
        done
    done | awk '!seen[$0]++'
}

# The Klippys that services and init scripts start, whether they run now or not.
service_klippys() {
    service_files | while IFS= read -r file; do
        grep -Eqs 'klippy|kalico' "$file" || continue
        expand_variables <"$file" | while IFS= read -r line; do
            fields=$(line_klippy "$line")
            case $fields in '' | *"$TAB-$TAB"*) ;; *) echo "service$TAB${fields#*"$TAB"}" ;; esac
        done
    done
}

# klippy_command of a line of text; nothing if its config does not exist.
line_klippy() { # LINE
    fields=$(echo "$1" | tr -s ' \t' '\n' | klippy_command)
    case $fields in *[\$%?]*) return ;; esac
    [ ! -f "${fields##*"$TAB"}" ] || echo "$fields"
}

# The files of services, and the environment files that they name.
service_files() {
    set -- "$SYSROOT"/etc/systemd/system/*.service "$SYSROOT"/etc/default/*klipp* \
        "$SYSROOT"/etc/init.d/*klipp*
    {
        printf '%s\n' "$@"
        sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$@" 2>/dev/null || true
        data_folders | while IFS= read -r data; do
            for file in "$data"/systemd/*.env; do echo "$file"; done
        done
    } | sort -u
}

# The lines of a unit, an environment file or an init script, without quotes and
# with the variables that it sets filled in; ? for those that it does not set.
expand_variables() {
    awk '
        function expand(text, out, name) {
            while (match(text, /\$[{]?[A-Za-z_][A-Za-z0-9_]*[}]?/)) {
                name = substr(text, RSTART + 1, RLENGTH - 1)
                gsub(/[{}]/, "", name)
                out = out substr(text, 1, RSTART - 1) (name in value ? value[name] : "?")
                text = substr(text, RSTART + RLENGTH)
            }
            return out text
        }
        {
            while (sub(/\\$/, " ") && (getline more) > 0) $0 = $0 more
            gsub(/["\047]/, "")
            sub(/^[ \t]*(Environment=|export |local )?/, "")
            line = expand($0)
            if (match(line, /^[A-Za-z_][A-Za-z0-9_]*=/)) {
                value[substr(line, 1, RLENGTH - 1)] = substr(line, RLENGTH + 1)
                line = substr(line, RLENGTH + 1)
            }
            print line
        }'
}

# Gives each instance a unique name (my-led and my_led are the same to the
# router) and, in front, a key for sorting.
name_instances() {
    awk -F "$TAB" -v OFS="$TAB" -v home="$HOME" '
        function last(path) { sub(/.*\//, "", path); return path }
        function above(path) { sub(/\/[^\/]*$/, "", path); return path }
        # klippy_led_uds, klippy-router-led.sock, printer_led_data, printer_led.cfg, led: led;
        # klippy.sock, klippy_uds, printer_data, klipper_config, printer.cfg: nothing
        function meaning(word) {
            sub(/\.[a-z]+$/, "", word)
            gsub(/[^A-Za-z0-9_-]/, "_", word)
            sub(/^(klippy|klipper|kalico|printer)([_-]|$)/, "", word)
            sub(/^(router|uds)[_-]/, "", word)
            sub(/(^|[_-])(data|uds|config)$/, "", word)
            return word ~ /^(api|api_?sock|sock|socket|api_server)$/ ? "" : word
        }
        function name_of(socket, config, word) {
            if (word = meaning(last(socket))) return word
            if (last(above(socket)) == "comms") return meaning(last(above(above(socket))))
            if (config == "-") return ""
            if (word = meaning(last(config))) return word
            config = above(config)
            if (last(config) == "config") config = above(config)
            return config == home ? "" : meaning(last(config))
        }
        function key(name) { name = toupper(name); gsub(/[^A-Z0-9]+/, "_", name); return name }
        {
            if (!(name = name_of($2, $3))) name = "main"
            if (key(name) in taken && $1 ~ /^(folder|socket)$/) next
            unique = name
            for (number = 2; key(unique) in taken; number++) unique = name "_" number
            taken[key(unique)] = 1
            print (unique != "main"), unique, $2, $3, $1
        }'
}

# Sets MAIN_NAME and MAIN_CONFIG, those of the main printer.
find_main() {
    names=
    while IFS=$TAB read -r MAIN_NAME _ MAIN_CONFIG _; do
        [ -n "$MAIN_NAME" ] || break
        folder=${MAIN_CONFIG%/*}
        folder=${folder%/config}
        case ${host_option%/} in '' | "$MAIN_NAME" | "$folder" | "${folder##*/}") return ;; esac
        names="$names $MAIN_NAME"
    done <<LIST
$INSTANCES
LIST
    [ -z "$host_option" ] || die "there is no instance called $host_option; found:${names:- none}"
    MAIN_NAME=main MAIN_CONFIG=$HOME/printer_data/config/printer.cfg
}

peers() { echo "$INSTANCES" | awk -F "$TAB" -v main="$MAIN_NAME" '$1 && $1 != main'; }

# ---- Sections and includes --------------------------------------------------

# The [router] sections and the [include]s of a config, in the order in which
# Klipper reads them: file, line number and text, separated by tabs. An include
# of a single file that does not exist is followed by [missing FILE].
router_config() ( # FILE [FILES ABOVE]
    path=$(real_path "$1")
    case ${2:-} in *"<$path>"*) exit ;; esac # A circle, which Klipper refuses
    [ -f "$1" ] && [ -r "$1" ] || exit 0
    awk -v tab="$TAB" '
        { sub(/[ \t]*(#.*)?\r?$/, "") }
        /^\[/ { wanted = /^\[(router|(router|include) .*)\]/ }
        wanted && $0 != "" { print FILENAME tab FNR tab $0 }' "$1" | while IFS= read -r line; do
        echo "$line"
        text=${line#*"$TAB"*"$TAB"}
        case $text in "[include "*) ;; *) continue ;; esac
        included "$1" "$text" | while IFS= read -r file; do
            if [ -e "$file" ]; then
                router_config "$file" "${2:-}<$path>"
            else
                echo "${line%"$text"}[missing $file]"
            fi
        done
    done
)

# The files of an [include] line; one that does not exist only if it is no pattern.
included() ( # FILE TEXT
    spec=$(echo "$2" | sed 's/^\[include *\(.*\)\].*/\1/; s/ *$//')
    spec=$(absolute "$(dirname "$1")" "$spec")
    IFS=$NEWLINE
    for deep in '' '*/' '*/*/' '*/*/*/'; do # ** is Kalico's
        # shellcheck disable=SC2086  # A pattern
        for file in $(echo "$spec" | sed "s,\*\*/,$deep,"); do
            case $file in *[*?[]*) [ ! -e "$file" ] || echo "$file" ;; *) echo "$file" ;; esac
        done
        case $spec in *'**/'*) ;; *) break ;; esac
    done
)

# router_config of all instances.
all_router_config() {
    echo "$INSTANCES" | while IFS=$TAB read -r _ _ config _; do
        [ -z "$config" ] || router_config "$config"
    done | awk '!seen[$0]++'
}

# Every [router] and [router NAME], as FILE:LINE:TEXT.
remaining_sections() {
    all_router_config | awk -F "$TAB" '$3 ~ /^\[router/ { print $1 ":" $2 ":" $3 }'
}

# Every [include] of router_api.cfg or router_watchdog.cfg, as FILE:LINE:TEXT;
# with "here" only those that need this copy.
router_includes() { # [here]
    all_router_config | while IFS=$TAB read -r file line text; do
        case $(real_path "$file"),$text in
        "$HERE/includes/"*) continue ;; # router_api.cfg includes the watchdog
        *",[include "*) ;;
        *) continue ;;
        esac
        where=$(where_include_is "$file" "$text")
        case ${1:-all},$where in *,none | here,elsewhere) ;; *) echo "$file:$line:$text" ;; esac
    done
}

# Where the include file of the router is that this line includes: here,
# elsewhere, or none if it includes neither of them.
where_include_is() { # FILE TEXT
    found=$(included "$1" "$2" | grep -E '/router_(api|watchdog)\.cfg$') || { echo none && return; }
    echo "$found" | while IFS= read -r each; do
        # A missing file counts as ours: Klipper does not start without it either
        folder=$(cd "$(dirname "$each")" 2>/dev/null && pwd -P) || folder=$HERE/includes
        [ "$folder" != "$HERE/includes" ] || echo here
    done | grep -m 1 here || echo elsewhere
}

# ---- The old router daemon --------------------------------------------------

# klipper-router.service or S99klipper-router, but not S98klipper-router-instances,
# which starts Klippys.
is_daemon_name() { echo "$1" | grep -Eq '^([SK][0-9]+)?klipper[-_]routerd?(\.service)?$'; }

# Its process IDs. Not an editor that has its file open, or a shell that looks for it.
daemon_processes() {
    processes_with klipper_router.py klipper-routerd | while IFS= read -r process; do
        ! lines_of "$process/cmdline" | awk '
            NR == 1 { python = /python/ }
            /(^|\/)(klipper_router\.py|klipper-routerd)$/ && (python || NR == 1) { found = 1 }
            END { exit !found }' || echo "${process##*/}"
    done
}

starts_daemon() { grep -Eqs '(klipper_router\.py|klipper-routerd)([[:space:]"'"'"']|$)' "$1"; }

# What starts it at boot: a unit that is enabled, an init script.
daemon_starters() {
    for starter in "$SYSROOT"/etc/systemd/system/*.wants/*.service "$SYSROOT"/etc/init.d/*; do
        case $starter in */init.d/*.* | */init.d/K[0-9]*) continue ;; esac
        [ -f "$starter" ] || continue
        is_daemon_name "${starter##*/}" || starts_daemon "$starter" || continue
        case $starter in
        *.service) echo "${starter##*/}" ;;
        *) [ ! -x "$starter" ] || echo "$starter" ;;
        esac
    done | sort -u
}

# The commands that stop and disable it.
how_to_stop_daemon() {
    daemon_starters | while read -r starter; do
        case $starter in
        *.service) echo "${SUDO}systemctl disable --now $starter" ;;
        *) echo "$SUDO$starter stop; ${SUDO}chmod -x $starter" ;;
        esac
    done | awk '{ printf "%s%s", separator, $0; separator = "; " }'
}

# One line for each remaining part of it, and what to do about it.
daemon_notes() {
    processes=$(one_line "$(daemon_processes)")
    commands=$(how_to_stop_daemon)
    if [ -n "$processes" ]; then
        echo "the old router daemon is running (process $processes), so every call runs twice." \
            "Stop and disable it: ${commands:-kill $processes}"
    elif [ -n "$commands" ]; then
        echo "the old router daemon is not running, but starts at boot, and then every call" \
            "runs twice. Disable it: $commands"
    fi
    for folder in "$HOME/klipper-router" "$(dirname "$TREE")/klipper-router"; do
        [ ! -e "$folder" ] || (cd "$folder" && pwd -P)
    done | sort -u | while IFS= read -r folder; do
        ! is_daemon_clone "$folder" || echo "$folder is the clone of the old router daemon; this" \
            "project is in $HERE. Delete that clone once no config includes a file from it"
    done
}

is_daemon_clone() {
    [ ! -d "$1/klippy_extras/router" ] &&
        { [ -f "$1/src/klipper_router.py" ] || [ -f "$1/klipper_router.py" ]; }
}

# ---- Checks -----------------------------------------------------------------

check_copy() {
    ! is_daemon_clone "$HERE" || die "$HERE is the clone of the old router daemon: clone this" \
        "project into another folder, such as ~/klipper-router-extra, and run install.sh there"
    [ -f "$SOURCE/__init__.py" ] || die "there is no $SOURCE: run install.sh in a complete clone"
}

check_python() {
    [ -n "$PYTHON" ] || return 0
    version=$(python_version) ||
        refuse "$PYTHON, the Python of this Klipper, does not run: install its klippy-env again"
    case $version in
    [012].* | 3.[0-7]) refuse "$PYTHON is Python $version, but Klipper Router needs 3.8 or later:" \
        "install klippy-env again with a newer Python" ;;
    esac
}

owner_of() { ls -ld -- "$1" | awk '{ print $3; exit }'; }

# Root may write what belongs to root, or to an owner without a name: nobody can
# log in as that one, so it is how a firmware was packed.
check_may_write() {
    owner=$(owner_of "$1")
    case $(id -u),$allow_root,$owner in
    0,no,root | 0,no,[0-9]*) ;;
    0,no,*) refuse "$1 belongs to $owner: run install.sh as $owner, without sudo, or with" \
        "--allow-root" ;;
    esac
    [ -w "$1" ] || refuse "$1 belongs to $owner and cannot be written by $(user_name): run" \
        "install.sh as the user who owns Klipper, or correct the permissions"
}

# A file that is changed after a copy of it was made in the same folder.
check_may_edit() { check_may_write "$1" && check_may_write "$(dirname "$1")"; }

check_name_is_free() {
    for found in "$LINK" "$LINK.py" "$OTHER_LINK" "$OTHER_LINK.py"; do
        case $KIND,$found in Klipper,*/plugins/*) continue ;; esac
        if is_our_link "$found"; then continue; fi
        if [ -L "$found" ]; then
            found="$found, a link to $(readlink "$found")"
        elif [ -d "$found" ]; then
            found="$found, a folder"
        elif [ ! -e "$found" ]; then
            continue
        fi
        refuse "found $found, which is not this Klipper Router: move it away and run install.sh" \
            "again"
    done
}

check_tree_is_writable() {
    check_may_write "${LINK%/*}"
    if is_our_link "$OTHER_LINK"; then check_may_write "${OTHER_LINK%/*}"; fi
    existing=$EXCLUDE
    while [ -n "$existing" ] && [ ! -e "$existing" ]; do existing=$(dirname "$existing"); done
    [ -z "$existing" ] || check_may_write "$existing"
}

check_config_file() {
    [ -d "$(dirname -- "$config_file")" ] ||
        die "there is no folder for $config_file: make it first"
    config_file=$(cd "$(dirname -- "$config_file")" && pwd -P)/$(basename -- "$config_file")
    if [ -e "$config_file" ] || [ -L "$config_file" ]; then
        refuse "$config_file exists already: name a new file"
    fi
    check_may_write "$(dirname "$config_file")"
}

# What the checks could not find out.
print_doubts() {
    [ -n "$PYTHON" ] || note "found no klippy-env, so its Python was not checked: Klipper Router" \
        "needs 3.8 or later"
    [ -z "$tree_option${KLIPPER_PATH:-}" ] || return 0
    running=$(running_trees)
    case $NEWLINE$running$NEWLINE in
    "$NEWLINE$NEWLINE" | *"$NEWLINE$TREE$NEWLINE"*) ;;
    *) note "$TREE is not the Klipper that is running; -k chooses: $(one_line "$running")" ;;
    esac
}

# ---- Added text -------------------------------------------------------------

BEGIN="# Klipper Router, added by install.sh"
END="# end of Klipper Router"

# The first line of the block says what else was added, for remove_block to
# restore the file byte for byte.
append_block() { # FILE TEXT
    lead='' added=''
    if [ ! -e "$1" ]; then
        added=' (with this file)'
        if [ ! -e "$(dirname "$1")" ]; then
            added=' (with this file and its folder)'
            mkdir "$(dirname "$1")" && give_to_folder_owner "$(dirname "$1")" || return
        fi
        : >"$1" && give_to_folder_owner "$1" || return
    elif [ -n "$(tail -c 1 "$1")" ]; then
        added=' (with the line break above)' lead=$NEWLINE
    fi
    printf '%s%s\n%s\n%s\n' "$lead" "$BEGIN$added" "$2" "$END" >>"$1"
}

has_block() { [ -f "$1" ] && grep -q "^$BEGIN" "$1" && grep -qx "$END" "$1"; }

remove_block() { # FILE
    first=$(grep "^$BEGIN" "$1")
    last=$(tail -n 1 "$1")
    text=$(sed "/^$BEGIN/,/^$END\$/d" "$1" && echo x) || return
    text=${text%x}
    case $first,$last in *"line break above),$END") text=${text%"$NEWLINE"} ;; esac
    printf '%s' "$text" >"$1" || return
    case $first in *"this file"*) [ -s "$1" ] || rm "$1" ;; esac
    case $first in *"its folder"*) rmdir "$(dirname "$1")" || true ;; esac
}

# What root creates gets the owner of its folder.
give_to_folder_owner() {
    [ "$(id -u)" != 0 ] ||
        chown -h "$(ls -ldn -- "$(dirname "$1")" | awk '{ print $3 ":" $4; exit }')" "$1"
}

back_up() {
    copy=$1.$(date +%Y%m%d_%H%M%S).bak
    while [ -e "$copy" ]; do copy=$copy.bak; done
    cp -p "$1" "$copy" && give_to_folder_owner "$copy"
}

backups_of() { # FILE
    for copy in "$1".[0-9]*_[0-9]*.bak*; do [ ! -f "$copy" ] || echo "$copy"; done
}

# ---- Moonraker --------------------------------------------------------------

# Sets ORIGIN.
check_update_manager() {
    [ -n "$moonraker_conf" ] || moonraker_conf=$(dirname "$MAIN_CONFIG")/moonraker.conf
    [ -f "$moonraker_conf" ] ||
        die "there is no $moonraker_conf: give its path with --update-manager FILE"
    ORIGIN=$(git -C "$HERE" remote get-url origin 2>/dev/null) || die "$HERE is not a git clone" \
        "with a remote called origin, so Moonraker cannot update it: install from a clone"
    check_may_edit "$moonraker_conf"
}

add_update_manager() {
    found=$(grep -lE '^\[update_manager +klipper-router\]' "$moonraker_conf" \
        "$(dirname "$moonraker_conf")"/*.conf 2>/dev/null | head -n 1)
    if [ -n "$found" ]; then
        path=$(update_manager_path "$found")
        if [ "$(cd "$path" 2>/dev/null && pwd -P)" = "$HERE" ]; then
            echo "Moonraker's update manager already has Klipper Router."
        else
            note "[update_manager klipper-router] in $found is for $path, not for this copy: set" \
                "its path to $HERE and its origin to $ORIGIN, or remove it and run install.sh again"
        fi
        return
    fi
    act "back up $moonraker_conf" back_up "$moonraker_conf"
    act "add [update_manager klipper-router] to $moonraker_conf" append_block "$moonraker_conf" \
        "[update_manager klipper-router]
type: git_repo
path: $HERE
origin: $ORIGIN
primary_branch: main
managed_services: klipper"
    echo "Restart Moonraker to apply this."
}

update_manager_path() { # FILE
    awk '/^\[/ { inside = /^\[update_manager +klipper-router\]/ }
        inside && sub(/^path *[:=] */, "") { print; exit }' "$1" | sed "s,^~/,$HOME/,"
}

# The moonraker.conf files that install.sh has added to.
our_moonraker_confs() {
    {
        echo "$moonraker_conf"
        echo "$INSTANCES" | cut -f 3 | sed 's,/[^/]*$,/moonraker.conf,'
    } | awk '!seen[$0]++' | while IFS= read -r conf; do
        ! has_block "$conf" || echo "$conf"
    done
}

# ---- Restart ----------------------------------------------------------------

# Sets RESTART: one command per line, of systemd or else of the init scripts.
find_restart_commands() {
    RESTART=
    if has_systemd; then
        RESTART=$(systemd_units | while read -r unit; do
            ! runs_klippy "$unit" || echo "systemctl restart $unit"
        done)
    fi
    [ -n "$RESTART" ] || RESTART=$(klippy_init_scripts | sed 's/$/ restart/')
}

has_systemd() { [ -d "$SYSROOT/run/systemd/system" ] && command -v systemctl >/dev/null; }

systemd_units() {
    systemctl list-units --all --plain --no-legend --type=service 'klipper*' 'kalico*' |
        awk '$1 ~ /\.service$/ { print $1 }'
}

# Decided by what a unit starts, for klipper-mcu, klipper-router (the old daemon),
# klipper-backup and others have names like klipper-1 and klipper-led.
runs_klippy() {
    ! is_daemon_name "$1" && systemctl cat "$1" 2>/dev/null | grep -E '^(ExecStart|Source)' |
        grep -Eq 'klippy\.py|-m klippy|/kalico( |$)|KLIPP(ER|Y)_ARGS|/init\.d/klipper'
}

# Decided by their names. K55..., ....bak: disabled ones.
klippy_init_scripts() {
    for script in "$SYSROOT"/etc/init.d/*klipper*; do
        case ${script##*/} in *mcu* | *[Ss]creen* | *.* | K[0-9][0-9]*) continue ;; esac
        [ ! -f "$script" ] || [ ! -x "$script" ] || is_daemon_name "${script##*/}" ||
            echo "$script"
    done
}

# Asks a Klippy, and prints these values of its result, one per line: "none" for
# a value that it lacks. Prints only "off" if nothing listens, and nothing at all
# if there was no answer.
ask() { # SOCKET METHOD PARAMS NAME.NAME...
    "${PYTHON:-python3}" - "$@" <<'PROGRAM'
import functools, json, socket, sys
path, method, params, *wanted = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(5.)
try:
    connection.connect(path)
except (FileNotFoundError, ConnectionRefusedError):
    print("off")
    sys.exit()
request = {"id": 1, "method": method, "params": json.loads(params)}
connection.sendall(json.dumps(request).encode() + b"\x03")
data = b""
while b"\x03" not in data:
    data += connection.recv(4096) or sys.exit(1)
result = json.loads(data.split(b"\x03")[0]).get("result", {})
for names in wanted:
    value = functools.reduce(lambda found, name: (found or {}).get(name), names.split("."), result)
    text = "none" if value is None else str(value)
    print(text.encode("ascii", "replace").decode().split("\n")[0])
PROGRAM
}

check_restart() {
    find_restart_commands
    [ "$action" = uninstall ] || [ -z "$(daemon_processes)" ] || refuse "the old router daemon is" \
        "running, so every call would run twice: stop it first (install.sh without --restart" \
        "says how)"
    [ -n "$RESTART" ] || refuse "found no service of Klipper: omit --restart, and restart Klipper" \
        "as you usually do"
    for_each_line check_no_print "$(echo "$INSTANCES" | cut -f 2)"
}

check_no_print() { # SOCKET
    [ -S "$1" ] || return 0
    objects='{"objects": {"print_stats": ["state"]}}'
    case $(ask "$1" objects/query "$objects" status.print_stats.state 2>/dev/null) in
    printing | paused) refuse "the printer at $1 has a print running or paused: wait until it" \
        "has finished" ;;
    "") refuse "the printer at $1 does not say whether it is printing: restart or stop its" \
        "service by hand" ;;
    esac
}

# Not an act, because polkit may ask the user for a password.
run_restart() { # COMMAND
    if [ "$dry_run" = yes ]; then
        echo "Would run $1"
    else
        $1 || die "'$1' failed: run it as root, with sudo for example"
        echo "Done: $1"
    fi
}

print_restart_commands() { # of RESTART
    echo "When no print is running, restart Klipper's service (RESTART does not reload code)."
    [ -z "$RESTART" ] || echo "$RESTART" | sed "s/^/$SUDO/"
}

# ---- Install ----------------------------------------------------------------

install() {
    check_copy
    check_name_is_free
    check_tree_is_writable
    check_python
    [ -z "$config_file" ] || check_config_file
    [ "$update_manager" = no ] || check_update_manager
    [ "$restart" = no ] || check_restart
    print_doubts

    install_link
    installed=$changed
    [ "$installed" = yes ] || echo "Klipper Router is already installed in $TREE ($KIND)."
    [ -z "$config_file" ] || act "write $config_file" write_config
    [ "$update_manager" = no ] || add_update_manager
    print_instructions
    for_each_line note "$(daemon_notes)"
    if [ "$restart" = yes ]; then
        for_each_line run_restart "$RESTART"
    elif [ "$installed" = yes ]; then
        find_restart_commands
        print_restart_commands
    fi
}

# Sets changed.
install_link() {
    changed=no
    if is_our_link "$OTHER_LINK"; then act "remove the link $OTHER_LINK" remove_other_link; fi
    [ -e "$LINK" ] || act "link $LINK to $SOURCE" make_link
    exclude_link
}

make_link() { ln -sfn "$SOURCE" "$LINK" && give_to_folder_owner "$LINK"; }

remove_other_link() {
    rm "$OTHER_LINK" || return
    [ "$KIND" = Kalico ] || rmdir "${OTHER_LINK%/*}" || true # left by Kalico
}

# Both places, for the checkout may switch between Klipper and Kalico. No slash at
# the end: to git, a link is not a folder.
exclude_link() {
    [ -n "$EXCLUDE" ] && ! is_excluded || return 0
    act "add the link to $EXCLUDE" \
        append_block "$EXCLUDE" "/klippy/extras/router$NEWLINE/klippy/plugins/router"
}

main_sections() {
    printf '[router]\nname: %s\n' "$MAIN_NAME"
    peers | while IFS=$TAB read -r name socket _; do
        printf '\n[router %s]\nsock: %s\n' "$name" "$socket"
    done
}

write_config() { write_own_file "$config_file" "$(main_sections)"; }

# What to add to which config.
print_instructions() {
    if [ -n "$config_file" ]; then
        printf '\nAdd this line to %s:\n\n[include %s]\n' "$MAIN_CONFIG" "$config_file"
    else
        printf '\nAdd this to %s:\n\n%s\n' "$MAIN_CONFIG" "$(main_sections)"
    fi
    include=$HERE/includes/router_api.cfg
    peers | while IFS=$TAB read -r name socket config how; do
        [ "$config" != - ] || config="the printer.cfg of $name"
        printf '\nAdd this line to %s:\n\n[include %s]\n' "$config" "$include"
        [ "$how" != folder ] || [ -S "$socket" ] ||
            note "$name is not running; if option -a of its Klippy is not $socket, correct sock"
    done
    echo
}

# ---- New instance -----------------------------------------------------------

# Folders and names are those of KIAUH, which then takes the instance for its own.
new_instance() {
    check_copy
    check_name_is_free
    check_tree_is_writable
    check_python
    find_instance_paths
    check_new_name
    find_service
    check_service
    check_new_paths
    check_serial
    check_root_rights
    print_doubts

    install_link
    act "make the folder $DATA" make_data_folder
    write_file "$DATA/config/printer.cfg" "$(new_printer_cfg)"
    [ -z "$ENV_FILE" ] || write_file "$DATA/systemd/klipper.env" "$(new_env_file)"
    new_service_file
    start_service
    print_new_instance
}

# Sets DATA, the folder of the instance, NEW_SERVICE, its unit or init script,
# and AS_ROOT.
find_instance_paths() {
    case $MAIN_CONFIG in
    */config/printer.cfg) DATA=${MAIN_CONFIG%/*/*/*} ;;
    *) DATA=$HOME ;;
    esac
    DATA=$DATA/printer_${new_name}_data
    if has_systemd; then
        NEW_SERVICE=$SYSROOT/etc/systemd/system/klipper-$new_name.service
    elif [ -f "$SYSROOT/etc/rc.common" ]; then # OpenWrt
        NEW_SERVICE=$SYSROOT/etc/init.d/klipper_$new_name
    else
        NEW_SERVICE=$SYSROOT/etc/init.d/S56klipper_$new_name
    fi
    AS_ROOT=
    [ "$(id -u)" = 0 ] || AS_ROOT=sudo
}

check_new_name() {
    check_characters
    case $new_name in
    router | *mcu* | *[Ss]creen*) refuse "the service of an instance called $new_name would be" \
        "taken for another program's: choose another name" ;;
    esac
    same=$({ echo "$MAIN_NAME" && echo "$INSTANCES" | cut -f 1; } | while IFS= read -r name; do
        [ "$(prefix_of "$name")" != "$(prefix_of "$new_name")" ] || echo "$name"
    done | head -n 1)
    case $same in
    '') ;;
    "$new_name") refuse "there is an instance called $same already: choose another name" ;;
    *) refuse "there is an instance called $same, from which the router cannot tell $new_name:" \
        "choose another name" ;;
    esac
    found=$(printf 'new\t%s\t-\n' "$DATA/comms/klippy.sock" | name_instances | cut -f 2)
    [ "$found" = "$new_name" ] || refuse "an instance called $new_name would be found as $found:" \
        "choose another name"
}

check_characters() {
    case $new_name in
    -* | *[!A-Za-z0-9_-]*) refuse "'$new_name' cannot be a name: use letters, digits, _ and -," \
        "such as led" ;;
    esac
}

# What a name becomes in the parameters of macros.
prefix_of() { echo "$1" | tr 'a-z-' 'A-Z_' | tr -s _; }

# The line of an environment file with the arguments for Python, as KIAUH writes it
ARGUMENTS='^[A-Za-z_]+=.*(klippy[.]py|-m +klippy[^ ]*|/kalico) '

# Sets SERVICE, the unit or init script that starts the main printer, KLIPPY, its
# command up to klippy.py, and ENV_FILE, the environment file with the arguments.
find_service() {
    SERVICE='' ENV_FILE='' KLIPPY=''
    for file in "$SYSROOT"/etc/systemd/system/*.service "$SYSROOT"/etc/init.d/*klipp*; do
        case $file in *.service) has_systemd || continue ;; *) ! has_systemd || continue ;; esac
        env_file=$(sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$file" 2>/dev/null | head -n 1)
        KLIPPY=$(cat "$env_file" "$file" 2>/dev/null | expand_variables | main_klippy)
        [ -n "$KLIPPY" ] || continue
        SERVICE=$file
        ! grep -Eqs "$ARGUMENTS" "$env_file" || ENV_FILE=$env_file
        return
    done
}

# Of the lines of a service, the command that starts the main printer, which
# comes behind its variables.
main_klippy() {
    while IFS= read -r line; do
        fields=$(line_klippy "$line")
        [ "$(real_path "${fields##*"$TAB"}")" != "$(real_path "$MAIN_CONFIG")" ] || echo "$line"
    done | tail -n 1 | awk '{
        for (word = 1; word <= NF; word++) {
            command = command (word > 1 ? " " : "") $word
            if ($word ~ /(^|\/)klippy\.py$|\/kalico$/) break
            if (previous == "-m" && $word ~ /^klippy/) break
            previous = $word
        }
        print command }'
}

check_service() {
    [ -f "$MAIN_CONFIG" ] || refuse "found no printer ($MAIN_CONFIG does not exist): set up a" \
        "first instance of Klipper, with KIAUH for example, or choose one with --host"
    [ -n "$SERVICE" ] || refuse "found no service that starts Klipper with $MAIN_CONFIG: set it" \
        "up as a service first, with KIAUH for example, or choose another printer with --host"
    case $SERVICE,$PYTHON in
    *.service,* | */S[0-9]*,/*) ;;
    *,/*) [ -f "$SYSROOT/etc/rc.common" ] || refuse "$SERVICE is an init script of a kind that" \
        "install.sh does not know: set up the instance by hand" ;;
    *) refuse "found no Python of this Klipper: start Klipper, and run install.sh again" ;;
    esac
}

check_new_paths() {
    # The words of a service's command
    case $DATA$TREE$HOME in *[!A-Za-z0-9_./+@:-]*) refuse "$DATA, $TREE or $HOME has a character" \
        "that is special in a service: set up the instance by hand" ;; esac
    [ "$(printf '%s' "$DATA/comms/klippy.sock" | wc -c)" -lt 108 ] || refuse "the name is too" \
        "long: a socket's path has at most 107 bytes"
    for found in "$DATA" "$NEW_SERVICE"; do
        if [ -e "$found" ] || [ -L "$found" ]; then
            refuse "$found exists already: choose another name"
        fi
    done
    check_may_write "$(dirname "$DATA")"
}

# Sets serial (empty if unknown) and boards, those that no other instance uses.
check_serial() {
    used=$(used_boards)
    if [ -n "$serial" ]; then
        [ -e "$serial" ] || refuse "there is no $serial: connect the board, or omit --serial"
        file=$(user_of_board "$serial")
        [ -z "$file" ] || refuse "$serial is in $file already: every instance needs a board of" \
            "its own"
        return
    fi
    boards=$(for board in "$SYSROOT"/dev/serial/by-id/* "$SYSROOT/tmp/klipper_host_mcu"; do
        [ ! -e "$board" ] || [ -n "$(user_of_board "$board")" ] || echo "$board"
    done)
    # Others are screens, modems and the like
    serial=$(echo "$boards" | grep -E '([Kk]lipper|[Kk]alico)[^/]*$') || serial=
    case $serial in *"$NEWLINE"*) serial= ;; esac
}

# The boards in the configs and the files next to them, each with the file that names it.
used_boards() {
    echo "$INSTANCES" | while IFS=$TAB read -r _ _ config _; do
        folder=$(dirname "${config:--}")
        grep -Hs "^serial[ $TAB]*[:=]" "$folder"/*.cfg "$folder"/*/*.cfg || true
    done | sed "s/:serial[ $TAB]*[:=][ $TAB]*/$TAB/; s/[ $TAB\r]*\(#.*\)\{0,1\}\$//" |
        while IFS=$TAB read -r file board; do echo "$(real_path "$board")$TAB$file"; done
}

user_of_board() {
    echo "$used" | awk -F "$TAB" -v board="$(real_path "$1")" '$1 == board { print $2; exit }'
}

# A service takes root's rights, the files of the instance do not.
check_root_rights() {
    [ -n "$AS_ROOT" ] && [ "$dry_run" = no ] || return 0
    command -v sudo >/dev/null || refuse "the service takes root's rights, and there is no sudo:" \
        "run install.sh as root, with --allow-root"
    sudo -n true 2>/dev/null || sudo -v || refuse "the service takes root's rights, and sudo" \
        "does not give them to $(user_name): run install.sh as a user who can use sudo"
}

make_data_folder() {
    for folder in "$DATA" "$DATA/config" "$DATA/logs" "$DATA/gcodes" "$DATA/comms" \
        "$DATA/systemd"; do
        mkdir "$folder" && give_to_folder_owner "$folder" || return
    done
}

# Writes a new file, or shows what it would write.
write_file() { # FILE TEXT [COMMAND]
    act "write $1" "${3:-write_own_file}" "$1" "$2"
    [ "$dry_run" = no ] || printf '%s\n' "$2" | sed 's/^/    /'
}

# Never overwrites a file (-C).
write_own_file() { (set -C && printf '%s\n' "$2" >"$1") && give_to_folder_owner "$1"; }

write_root_file() { printf '%s\n' "$2" | $AS_ROOT tee "$1" >/dev/null; }

write_script() { write_root_file "$@" && $AS_ROOT chmod +x "$1"; }

new_printer_cfg() {
    cat <<CONFIG
$BEGIN
#
# The instance $new_name: a Klipper of its own, which the main printer reaches
# with its section [router $new_name]. Add the devices of its board below.

[include $HERE/includes/router_api.cfg]

# With Klipper's firmware, and of no other instance; no Klipper starts without.
# 'ls /dev/serial/by-id/*' lists the boards on USB. This computer itself can be
# one, too: see https://www.klipper3d.org/RPi_microcontroller.html
[mcu]
serial: ${serial:-/dev/serial/by-id/NAME_OF_THE_BOARD}

# An instance without axes. If it is to print, replace this as for any printer.
[printer]
kinematics: none
max_velocity: 300
max_accel: 3000

# For print files, M117, M118 and PAUSE
[virtual_sdcard]
path: $DATA/gcodes
[pause_resume]
[display_status]
[respond]

# For example, for SET_LED LED=strip on this board:
#[neopixel strip]
#pin: PA8
#chain_count: 20
CONFIG
}

new_arguments() {
    echo "$DATA/config/printer.cfg -I $DATA/comms/klippy.serial -l $DATA/logs/klippy.log" \
        "-a $DATA/comms/klippy.sock"
}

# The main printer's, with other arguments for Klippy. The Python is in the unit.
new_env_file() {
    awk -v pattern="$ARGUMENTS" -v arguments="$(new_arguments)" '
        $0 ~ pattern {
            match($0, /(klippy[.]py|-m +klippy[^ ]*|\/kalico) /)
            $0 = substr($0, 1, RSTART + RLENGTH - 1) arguments (/"/ ? "\"" : "")
        }
        { print }' "$ENV_FILE"
}

new_service_file() {
    case $NEW_SERVICE in
    *.service) write_file "$NEW_SERVICE" "$(new_unit)" write_root_file ;;
    */S[0-9]*) write_file "$NEW_SERVICE" "$(new_init_script)" write_script ;;
    *) write_file "$NEW_SERVICE" "$(new_procd_script)" write_script ;;
    esac
}

# The main printer's unit, without what is for that one alone.
new_unit() {
    echo "$BEGIN"
    awk -v name="$new_name" -v command="$KLIPPY $(new_arguments)" \
        -v env="${ENV_FILE:+$DATA/systemd/klipper.env}" '
        { while (sub(/\\$/, " ") && (getline more) > 0) $0 = $0 more }
        /^(Alias|Also|PIDFile|RuntimeDirectory|Exec[A-Z][A-Za-z]*)=/ && !/^ExecStart=/ { next }
        /^Description=/ { $0 = "Description=Klipper instance " name }
        /^EnvironmentFile=/ && env { $0 = "EnvironmentFile=" env }
        /^ExecStart=/ && !env { $0 = "ExecStart=" command }
        { print }' "$SERVICE"
}

# As those of Creality: BusyBox starts every S* in /etc/init.d.
new_init_script() {
    cat <<SCRIPT
#!/bin/sh
$BEGIN
# Starts the Klipper instance $new_name

PID_FILE=/var/run/klippy_$new_name.pid

start() {
    HOME=$HOME start-stop-daemon -S -q -b -m -p \$PID_FILE -x $PYTHON -- \\
        ${KLIPPY##* } $(new_arguments)
}

stop() { start-stop-daemon -K -q -p \$PID_FILE; }

case "\$1" in
start) start ;;
stop) stop ;;
restart)
    stop
    sleep 1
    start
    ;;
*)
    echo "Usage: \$0 {start|stop|restart}"
    exit 1
    ;;
esac
SCRIPT
}

# As that of the Sonic Pad, whose OpenWrt starts what procd knows.
new_procd_script() {
    cat <<SCRIPT
#!/bin/sh $SYSROOT/etc/rc.common
$BEGIN
# Starts the Klipper instance $new_name

START=56
USE_PROCD=1

start_service() {
    procd_open_instance
    procd_set_param env HOME=$HOME
    procd_set_param command $PYTHON ${KLIPPY##* } $(new_arguments)
    procd_set_param respawn
    procd_close_instance
}
SCRIPT
}

# The commands that start (start) or stop (stop) the new service, now and at boot.
service_commands() { # start|stop
    case $1,$NEW_SERVICE in
    start,*.service)
        echo "systemctl daemon-reload"
        echo "systemctl enable --now ${NEW_SERVICE##*/}"
        ;;
    stop,*.service) echo "systemctl disable --now ${NEW_SERVICE##*/}" ;;
    *,*/S[0-9]*) echo "$NEW_SERVICE $1" ;;
    start,*) printf '%s enable\n%s start\n' "$NEW_SERVICE" "$NEW_SERVICE" ;;
    *) printf '%s stop\n%s disable\n' "$NEW_SERVICE" "$NEW_SERVICE" ;;
    esac
}

# shellcheck disable=SC2086  # A command of words
run_as_root() { act "run $1" $AS_ROOT $1; }

start_service() { for_each_line run_as_root "$(service_commands start)"; }

print_new_instance() {
    printf '\nAdd this to %s:\n\n' "$MAIN_CONFIG"
    router_config "$MAIN_CONFIG" | grep -q "$TAB\[router]" ||
        printf '[router]\nname: %s\n\n' "$MAIN_NAME"
    printf '[router %s]\nsock: %s\n\n' "$new_name" "$DATA/comms/klippy.sock"
    for_each_line note "$(daemon_notes)"
    [ -n "$serial" ] || note "set the serial of the board in $DATA/config/printer.cfg, then run" \
        "RESTART on $new_name. Boards that are not in use: $(one_line "${boards:-none}")"
    case $SERVICE in
    *.service) RESTART="systemctl restart ${SERVICE##*/}" ;;
    *) RESTART="$SERVICE restart" ;;
    esac
    print_restart_commands
    echo "ROUTER_DIAGNOSE on the console of $MAIN_NAME then checks both."
}

# ---- Remove an instance -----------------------------------------------------

remove_instance() {
    find_instance_paths
    check_characters
    is_made_here "$NEW_SERVICE" || is_made_here "$DATA/config/printer.cfg" ||
        refuse "install.sh has not made an instance called $new_name: remove it as it was made," \
            "with KIAUH for example"
    check_may_write "$(dirname "$DATA")"
    check_root_rights
    check_no_print "$DATA/comms/klippy.sock"
    check_other_files "$(other_files)"

    if is_made_here "$NEW_SERVICE"; then
        for_each_line run_as_root "$(service_commands stop)"
        act "remove $NEW_SERVICE" $AS_ROOT rm "$NEW_SERVICE"
        ! has_systemd || run_as_root "systemctl daemon-reload"
    fi
    [ ! -e "$DATA" ] || act "remove $DATA" rm -r "$DATA"
    sections=$(remaining_sections | grep -F ":[router $new_name]") || return 0
    note "remove this section, too, and run RESTART: $(one_line "$sections")"
}

is_made_here() { grep -qs "^$BEGIN" "$1"; }

# The files in DATA that neither install.sh nor Klippy has written.
other_files() {
    [ ! -e "$DATA" ] || find "$DATA/" ! -type d | while IFS= read -r file; do
        case ${file#"$DATA/"} in
        systemd/klipper.env | comms/* | logs/klippy.log*) continue ;;
        config/printer.cfg)
            serial=$(sed -n 's/^serial: //p' "$file")
            [ "$(new_printer_cfg)" != "$(cat "$file")" ] || continue
            ;;
        esac
        echo "$file"
    done
}

check_other_files() { # FILES
    [ -n "$1" ] || return 0
    if [ "$dry_run" = yes ]; then
        echo "Would ask whether to delete these files, too:$NEWLINE$1"
    elif [ -t 0 ]; then
        printf 'These files in the folder were changed or added:\n%s\nDelete them, too? [y/N] ' "$1"
        read -r answer
        case $answer in [Yy]*) ;; *) refuse "move them elsewhere, and run install.sh again" ;; esac
    else
        refuse "$DATA has files that were changed or added: move them elsewhere, or run" \
            "install.sh in a terminal, where it asks: $(one_line "$1")"
    fi
}

# ---- Uninstall --------------------------------------------------------------

uninstall() {
    sections=$(remaining_sections)
    includes=$(router_includes here)
    confs=$(our_moonraker_confs)
    check_uninstall

    changed=no
    if is_our_link "$LINK"; then act "remove $LINK" rm "$LINK"; fi
    if is_our_link "$OTHER_LINK"; then act "remove $OTHER_LINK" remove_other_link; fi
    if has_block "$EXCLUDE"; then act "remove the link from $EXCLUDE" remove_block "$EXCLUDE"; fi
    for_each_line remove_update_manager "$confs"
    [ "$changed" = yes ] || echo "Klipper Router is not installed in $TREE ($KIND)."
    print_what_remains
    [ "$restart" = no ] || for_each_line run_restart "$RESTART"
}

check_uninstall() {
    check_tree_is_writable
    for_each_line check_may_edit "$confs"
    [ "$restart" = yes ] || return 0
    [ -z "$sections" ] || refuse "Klipper would not start again: remove these sections from the" \
        "config first: $(one_line "$sections")"
    check_restart
}

remove_update_manager() { # FILE
    act "back up $1" back_up "$1"
    act "remove [update_manager klipper-router] from $1" remove_block "$1"
}

print_what_remains() {
    for_each_line backups_of "$confs" | sed 's/^/Backup, delete it when Moonraker works: /'
    [ -z "$sections" ] ||
        note "Klipper will not start while these sections are in its config:$NEWLINE$sections"
    [ -z "$includes" ] || note "remove these lines before you delete $HERE, or Klipper will not" \
        "start:$NEWLINE$includes"
}

# ---- Status -----------------------------------------------------------------

status() {
    echo "This copy: $(this_copy)"
    echo "Klipper:   $TREE ($KIND, $(commit_of_tree), Python: ${PYTHON:-not found})"
    installed=no
    for link in "$LINK" "$OTHER_LINK"; do
        [ -L "$link" ] || continue
        installed=$(readlink "$link")
        version=$(version_of "$link")
        echo "Installed: $link -> $installed, version ${version:-unknown}" \
            "($(commit_of "$installed"))"
    done
    [ "$installed" != no ] || echo "Installed: no"
    echo "$INSTANCES" | while IFS=$TAB read -r name socket config how; do
        if is_process "$how"; then how="process $how"; else how="not running"; fi
        [ -z "$name" ] || echo "Instance:  $name ($how), $socket, $config"
    done
    our_moonraker_confs | sed 's/^/Updates:   /'
    daemon_notes | sed 's/^/Daemon:    /'
    remaining_sections | sed 's/^/Section:   /'
    router_includes | sed 's/^/Include:   /'
}

# ---- Doctor -----------------------------------------------------------------

# Prints lines as ROUTER_DIAGNOSE does, also where no Klippy runs.
doctor() {
    oks=0 warns=0 fails=0
    doctor_copy
    if [ -n "$TREE" ]; then
        ok "install klipper: $TREE ($KIND, $(commit_of_tree))"
        doctor_python
        doctor_link
    else
        fail "install klipper: $tree_problem"
    fi
    doctor_daemon
    doctor_instances
    echo "Checks: $oks ok, $warns WARN, $fails FAIL"
    [ "$fails" = 0 ]
}

ok() { oks=$((oks + 1)) && printf 'ok   %s\n' "$*"; }
warn() { warns=$((warns + 1)) && printf 'WARN %s\n' "$*"; }
fail() { fails=$((fails + 1)) && printf 'FAIL %s\n' "$*"; }

# The message with which one of the checks above fails, if it does.
problem_of() { ("$@") 2>&1 | sed 's/^install\.sh: //; s/; nothing was changed$//'; }

doctor_copy() {
    problem=$(problem_of check_copy)
    if [ -n "$problem" ]; then
        fail "install copy: $problem"
    else
        ok "install copy: $(this_copy)"
    fi
}

doctor_python() {
    problem=$(problem_of check_python)
    if [ -z "$PYTHON" ]; then
        warn "install python: found no klippy-env; Klipper Router needs Python 3.8 or later"
    elif [ -n "$problem" ]; then
        fail "install python: $problem"
    else
        ok "install python: $PYTHON, $(python_version)"
        doctor_import
    fi
}

doctor_import() {
    if problem=$("$PYTHON" -B -c 'import sys; sys.path.insert(0, sys.argv[1]); import router
router.load_config, router.load_config_prefix' "$HERE/klippy_extras" 2>&1); then
        ok "install import: $SOURCE can be imported"
    else
        fail "install import: $(echo "$problem" | tail -n 1): see git -C $HERE status, and pull"
    fi
}

doctor_link() {
    target=$(readlink "$LINK" || true)
    if is_our_link "$LINK" && [ -e "$LINK" ]; then
        ok "install link: $LINK"
        [ -z "$EXCLUDE" ] || is_excluded || warn "install git: $EXCLUDE does not have the link," \
            "so Moonraker reports a modified Klipper: run $HERE/install.sh"
    elif is_our_link "$LINK"; then
        fail "install link: $LINK leads to $target, which does not exist: run install.sh"
    elif [ -n "$target" ]; then
        fail "install link: $LINK leads to $target, not to this copy: use that one, or run its" \
            "install.sh --uninstall and then $HERE/install.sh"
    elif [ -e "$LINK" ]; then
        fail "install link: $LINK is not a link to this copy: move it away and run install.sh"
    else
        fail "install link: there is no $LINK: run install.sh"
    fi
    for found in "$LINK.py" "$OTHER_LINK" "$OTHER_LINK.py"; do
        [ -e "$found" ] || [ -L "$found" ] || continue
        problem="install link: $found exists, too: remove it (run install.sh if it is its link)"
        case $KIND,$found in Klipper,*/plugins/*) warn "$problem" ;; *) fail "$problem" ;; esac
    done
}

doctor_daemon() {
    notes=$(daemon_notes)
    [ -n "$notes" ] || ok "install daemon: the old router daemon is not running and not enabled"
    for_each_line doctor_daemon_note "$notes"
}

doctor_daemon_note() {
    case $1 in
    "the old router daemon is running"*) fail "install daemon: $1" ;;
    *) warn "install daemon: $1" ;;
    esac
}

# For the functions below, $name, $socket, $config and $how describe an instance
# as in INSTANCES, and $lines is its router_config.
doctor_instances() {
    mains=0
    while IFS=$TAB read -r name socket config how <&3; do
        [ -n "$name" ] || continue
        if [ -e "$config" ] && [ ! -r "$config" ]; then
            warn "$name config: $(user_name) cannot read $config: run this as the user of Klipper"
        fi
        lines=$(router_config "$config")
        doctor_missing_includes
        case $lines in *"${TAB}[router]"*) mains=$((mains + 1)) && doctor_main ;; esac
    done 3<<LIST
$INSTANCES
LIST
    [ "$mains" != 0 ] || fail "$MAIN_NAME config: no [router] in $MAIN_CONFIG: add what" \
        "$HERE/install.sh prints"
}

doctor_missing_includes() {
    missing=$(echo "$lines" | sed -n "s/^\(.*\)$TAB\([0-9]*\)$TAB\[missing \(.*\)\]\$/\1:\2: \3/p")
    [ -z "$missing" ] || fail "$name config: these files do not exist, correct or remove the" \
        "[include]: $(one_line "$missing")"
}

# An instance with [router], and its peers.
doctor_main() {
    ok "$name config: $config has [router]"
    doctor_user
    if is_process "$how"; then
        doctor_loaded_router
    else
        warn "$name klippy: not running: start its service"
    fi
    for_each_line doctor_peer \
        "$(echo "$lines" | sed -n "s/^.*$TAB\[router \(.*\)\]\$/\1/p" | awk '!seen[$0]++')"
}

# Sets $runs_as and $home: the user who runs the instance, and what ~ means in its config.
doctor_user() {
    if is_process "$how"; then
        runs_as=$(owner_of "$SYSROOT/proc/$how/.")
        home=$(lines_of "$SYSROOT/proc/$how/environ" | sed -n 's/^HOME=//p')
    else
        runs_as=$(owner_of "$config") home=
    fi
    home=${home:-$(home_of "$runs_as")}
    if barrier=$(barrier "$runs_as" r "$SOURCE/__init__.py"); then
        fail "$name user: $runs_as, who runs this Klipper, cannot read $barrier: run chmod a+rX" \
            "on it"
    else
        ok "$name user: $runs_as, who can read this copy"
    fi
}

home_of() { # USER
    home=$(awk -F : -v user="$1" '$1 == user || $3 == user { print $6; exit }' /etc/passwd)
    echo "${home:-$HOME}"
}

doctor_loaded_router() {
    doctor_klippy "$name" "$socket" || return 0
    loaded=$(loaded_version "$socket" router)
    case $loaded in
    "$VERSION") ok "$name router: version $loaded is loaded" ;;
    none) fail "$name router: is in the config, but not loaded: restart Klipper's service" ;;
    *) warn "$name router: version ${loaded:-unknown} is loaded, this copy is $VERSION: restart" \
        "Klipper's service" ;;
    esac
}

loaded_version() { # SOCKET OBJECT
    objects="{\"objects\": {\"$2\": [\"version\"]}}"
    ask "$1" objects/query "$objects" "status.$2.version" 2>/dev/null || true
}

# Fails if no Klippy answers.
doctor_klippy() { # NAME SOCKET
    answer=$(ask "$2" info '{}' state state_message 2>/dev/null) || answer=
    case $answer in
    ready*) ok "$1 klippy: ready" ;;
    off) fail "$1 klippy: nothing listens at $2: start its service" && return 1 ;;
    '')
        if is_listening "$2"; then
            warn "$1 klippy: listens at $2, but $(user_name) gets no answer: run this as the user" \
                "of Klipper; if you do, it hangs: restart its service"
        else
            fail "$1 klippy: nothing listens at $2: start its service"
        fi
        return 1
        ;;
    *) warn "$1 klippy: ${answer%%"$NEWLINE"*}: ${answer#*"$NEWLINE"}" ;;
    esac
}

# In /proc/net/unix, a listening socket has the flag 00010000, and its path
# comes after seven fields.
is_listening() {
    awk -v wanted="$(real_path "$1")" -v given="$1" '$4 == "00010000" {
        for (field = 1; field <= 7; field++) sub(/^ *[^ ]+ +/, "")
        if ($0 == wanted || $0 == given) found = 1 }
        END { exit !found }' "$SYSROOT/proc/net/unix" 2>/dev/null
}

# Sets $peer, and $path: the socket that the main printer connects to.
doctor_peer() { # NAME
    peer=$1
    path=$(router_option "router $peer" sock)
    path=${path:-$home/printer_${peer}_data/comms/klippy.sock}
    case $path in \~/*) path=$home/${path#??} ;; esac
    doctor_socket && doctor_klippy "$peer" "$path" || return 0
    doctor_include
}

router_option() { # SECTION OPTION
    echo "$lines" | cut -f 3- | awk -v section="[$1]" -v option="$2" '
        /^\[/ { inside = $0 == section; next }
        inside && match($0, "^" option "[ \t]*[:=]") { value = substr($0, RLENGTH + 1) }
        END { sub(/^[ \t]+/, "", value); print value }'
}

# Fails if the main printer cannot connect to $path.
doctor_socket() {
    if [ ! -e "$path" ] && barrier=$(barrier "$(user_name)" x "$(dirname "$path")") &&
        [ -e "$barrier" ]; then
        warn "$peer socket: $(user_name) cannot access $barrier: run this as $runs_as"
    elif [ ! -e "$path" ]; then
        fail "$peer socket: there is no $path: its Klipper is not running, or its option -a names" \
            "another file. Start it, or correct sock$(other_socket)"
    elif [ ! -S "$path" ]; then
        fail "$peer socket: $path is not a socket: set sock to the path in option -a of its Klipper"
    elif [ "$(real_path "$path")" = "$(real_path "$socket")" ]; then
        fail "$peer socket: $path is the socket of $name itself: correct sock"
    elif barrier=$(barrier "$runs_as" w "$(real_path "$path")"); then
        fail "$peer socket: $runs_as, who runs $name, cannot use $barrier, which belongs to" \
            "$(owner_of "$barrier"): run both Klippers as one user"
    else
            mode=$(ls -ldL -- "$path" | cut -c 1-10)
        ok "$peer socket: $path, owner $(owner_of "$path"), mode $mode"
        return
    fi
    return 1
}

# Where the instance with the peer's name listens, if elsewhere.
other_socket() {
    echo "$INSTANCES" | awk -F "$TAB" -v name="$peer" -v path="$path" '
        $1 == name && $2 != path { print ": the instance called " name " has " $2 }'
}

doctor_include() {
    peer_config=$(echo "$INSTANCES" | awk -F "$TAB" -v path="$(real_path "$path")" '
        $2 == path && $3 != "-" { print $3; exit }')
    [ -n "$peer_config" ] || peer_config=$(ask "$path" info '{}' config_file) || true
    include=$(api_include "$peer_config")
    has=$(sed -n 's/^variable_version: *"\(.*\)".*/\1/p' "${include:-/dev/null}" | head -n 1)
    if [ ! -r "$peer_config" ]; then
        warn "$peer include: $(user_name) cannot read $peer_config: run this as the user of Klipper"
    elif router_config "$peer_config" | grep -q "$TAB\[router]"; then
        ok "$peer include: needs none, because it has its own router"
    elif [ -z "$include" ]; then
        warn "$peer include: its macros cannot use the router: add [include" \
            "$HERE/includes/router_api.cfg] to $peer_config"
    elif [ "$has" != "$VERSION" ]; then
        warn "$peer include: $include is version ${has:-unknown}, this copy is $VERSION:" \
            "include $HERE/includes/router_api.cfg"
    elif [ "$(loaded_version "$path" "gcode_macro _ROUTER")" != "$VERSION" ]; then
        warn "$peer include: $include is not loaded in this version: run RESTART on $peer"
    else
        ok "$peer include: $include, version $has"
    fi
}

# The router_api.cfg that a config includes.
api_include() { # CONFIG
    router_config "$1" | while IFS=$TAB read -r file _ text; do
        case $text in "[include "*) included "$file" "$text" ;; esac
    done | grep '/router_api\.cfg$' | head -n 1
}

# The first part of a path that keeps a user from reading (r), writing (w) or
# entering (x) it; fails if nothing does.
barrier() { # USER r|w|x PATH
    [ "$1" != root ] || return 1
    [ "$3" = / ] || ! barrier "$1" x "$(dirname "$3")" || return 0
    ! may "$@" || return 1
    echo "$3"
}

may() { # USER r|w|x PATH
    ls -ldL -- "$3" 2>/dev/null | awk -v user="$1" -v bit="$2" \
        -v groups=" $(id -Gn "$1" 2>/dev/null) " '{
            from = $3 == user ? 2 : index(groups, " " $4 " ") ? 5 : 8
            found = index(substr($1, from, 3), bit) || bit == "x" && substr($1, from, 3) ~ /[st]/
        }
        END { exit !found }'
}

# -----------------------------------------------------------------------------

main() {
    parse_options "$@"
    SUDO=
    [ "$(id -u)" = 0 ] || SUDO='sudo '
    TREE='' PYTHON=''
    VERSION=$(version_of "$SOURCE")
    RUNNING=$(running_klippys)
    tree_problem=$([ "$action" != doctor ] || problem_of find_tree)
    if [ -z "$tree_problem" ]; then
        find_tree
        find_link
        find_exclude
        find_python
    fi
    INSTANCES=$(find_instances)
    find_main
    "$action"
}

main "$@"
