# Sourced by the commands of this folder: finds Python and makes the checkout's .venv.
#
#   . "$(dirname "$0")/_environment.sh"
#   make_environment dev        # an extra of pyproject.toml, several as a,b, or '' for none
#
# $root is the checkout, $venv_python the interpreter of its .venv.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv_python=$root/.venv/bin/python

say() {
    printf '%s\n' "$*" >&2
}

# Prints the first Python from 3.11 on that can import the modules named in $1.
find_python() {
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c "import sys; assert sys.version_info >= (3, 11); import $1" \
            >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Debian keeps ensurepip in a package of its own.
install_venv_on_debian() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return
    say 'Installing python3-venv'
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        --no-install-recommends install python3-venv; } >/dev/null 2>&1 </dev/null
}

python_for_venv() {
    find_python 'venv, ensurepip' && return
    if ! find_python sys >/dev/null; then
        say 'There is no Python 3.11 or newer on the PATH: install one and try again.'
        return 1
    fi
    install_venv_on_debian && find_python 'venv, ensurepip' && return
    say "This Python cannot make virtual environments: $(find_python sys) lacks venv or ensurepip."
    say 'Debian and Ubuntu: sudo apt-get install python3-venv'
    return 1
}

# What an installation depends on. An editable one names the checkout's path.
describe_installation() {
    printf '%s\n' "$root"
    cat -- "$root/pyproject.toml"
}

make_environment() {
    stamp=$root/.venv/.installed-${1:-alone}
    # Two commands may run at once. The kernel frees this lock whatever becomes of its holder,
    # and pip inherits it, so that nobody meets a half-made environment.
    exec 9<"$root/pyproject.toml"
    locker=$(find_python fcntl) || locker=$(python_for_venv) || exit 1
    # Some network file systems have no such locks: there, the first two runs may collide.
    "$locker" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null || :
    if [ "$(cat -- "$stamp" 2>/dev/null)" != "$(describe_installation)" ] ||
        ! "$venv_python" -c '' 2>/dev/null; then
        install_environment "$1"
        describe_installation >"$stamp"
    fi
    exec 9<&-
}

install_environment() {
    if ! "$venv_python" -m pip --version >/dev/null 2>&1; then
        python=$(python_for_venv) || exit 1
        say "Making .venv with $("$python" --version)"
        "$python" -m venv --clear "$root/.venv" || exit 1
    fi
    say "Installing cardlink-sql${1:+[$1]} into .venv"
    "$venv_python" -m pip install -qq --disable-pip-version-check --no-input \
        --editable "$root${1:+[$1]}" || exit 1
}
