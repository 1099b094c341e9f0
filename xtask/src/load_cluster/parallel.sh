# GNU's, and not the one of moreutils.
parallel --version 2>/dev/null | grep -q '^GNU parallel' || {
    echo "GNU parallel is missing; to install it: apt-get install parallel"
    exit 77
}

