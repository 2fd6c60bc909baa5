"""Numbers from pixels: pure functions of arrays, without storage, paths or orchestration."""
