from phasescope.cli import main

main()
