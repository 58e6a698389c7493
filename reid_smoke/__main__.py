from reid_smoke.cli import main

if __name__ == "__main__":  # a loader's worker that is spawned imports this file once more
    main()
