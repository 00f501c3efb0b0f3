"""`python -m upscale_cli`: the same as `upscale`."""

from upscale_cli.cli.app import main

if __name__ == "__main__":
    main()
