# Writes to the file ARGV[0], as JSON, what the app's Gemfile and Gemfile.lock ask for and what this machine has.
#
# Run inside the build's sandbox, in the app's tree: a Gemfile is a program.

require "fileutils"
require "json"
require "rbconfig"

bundle = ENV["PATH"].split(":").any? { |directory| File.executable?(File.join(directory, "bundle")) }
found = { ruby: RUBY_VERSION, engine: RUBY_ENGINE, abi: RbConfig::CONFIG["ruby_version"] }
found[:library] = RbConfig::CONFIG["rubylibdir"]
found[:local] = Gem::Platform.local.to_s

begin
  require "bundler"
  found[:bundler] = bundle ? Bundler::VERSION : ""
rescue LoadError
  found[:bundler] = ""
end

unless found[:bundler].empty?
  begin
    lock = Bundler::LockfileParser.new(Bundler.read_file("Gemfile.lock"))
    found[:platforms] = lock.platforms.map(&:to_s)
    found[:fits] = lock.platforms.any? { |one| one == Gem::Platform::RUBY || one === Gem::Platform.local }
    found[:gems] = lock.specs.to_h { |spec| [spec.name, spec.version.to_s] }
    found[:locked_ruby] = lock.ruby_version.to_s
    found[:bundled_with] = lock.bundler_version.to_s
  rescue StandardError => error # Bundler's own, of a file with conflicts or of a Bundler to come
    found[:problem] = error.message.dup.force_encoding("UTF-8").scrub("?").lines.map(&:strip).reject(&:empty?).first(3).join(" ")
  end
  begin
    wanted = Bundler::Dsl.evaluate(Pathname("Gemfile").expand_path, Pathname("Gemfile.lock").expand_path, {}).ruby_version
    if wanted && wanted.diff(Bundler::RubyVersion.system)
      found[:wanted_ruby] = [*(wanted.engine unless wanted.engine == "ruby"), wanted.versions.join(", ")].join(" ")
    end
  rescue StandardError, ScriptError # bundle install says it better
    nil
  end
end

FileUtils.mkdir_p(File.dirname(ARGV[0]))
File.write(ARGV[0], JSON.generate(found))
