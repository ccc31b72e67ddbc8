<p>Today: ${meal}</p>
